"""What kernels share about series, compiled from the shipped file, against the slow way."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from tests.support import plpython

FILE = "functions/indicators/series.sql"
WINDOWS = (20, 63, 126, 252)


@pytest.fixture(scope="module")
def series():
    plpython.FAKE_PLPY.execute("select db.packing(), indicators.series()")
    return plpython.GD["series"]


def part(name: str, *changes: tuple[str, str]):
    """A function of the module's own, with something changed in it."""
    text = plpython.changed(FILE, *changes).split('GD["series"] = ')[0]
    return plpython.compiled(text, gives=name)()


def strided_differs_in(*changes: tuple[str, str]) -> list[str]:
    """The functions that give other bits for strided input than for contiguous."""
    values = np.random.default_rng(4).normal(size=(1200, 3))
    inputs = values[:, 1], np.ascontiguousarray(values[:, 1])
    found = {}
    for name, call in {
        "means": lambda routine, x: [routine(x, 252, window) for window in WINDOWS],
        "moments": lambda routine, x: routine(x, 252, 252),
        "outside": lambda routine, x: [routine(x, 252, 252, 1.5)],
        "scores": lambda routine, x: routine(x, 0, 252, 4, 1.5),
        "logs": lambda routine, x: [routine(np.abs(x))],
    }.items():
        routine = part(name, *changes)
        found[name] = [[each.tobytes() for each in call(routine, x)] for x in inputs]
    return [name for name, (one, other) in found.items() if one != other]


def test_strided_input_gives_the_bits_of_contiguous_input():
    assert strided_differs_in() == []


def test_sums_that_follow_the_layout_of_their_input_are_found():
    fault = (
        'np.array(windows[stretch(starts[part])], order="C")',
        "laid(windows[stretch(starts[part])], values)",
    )
    helper = (
        "def blocks(",
        "def laid(windows, values):\n"
        "    return np.array(windows, order='C' if values.strides == (8,) else 'F')\n\n\n"
        "def blocks(",
    )
    assert {"means", "moments"} <= set(strided_differs_in(fault, helper))


def test_the_flags_of_the_quartiles_are_those_of_every_window_by_itself():
    chance = np.random.default_rng(6)
    for values in (
        chance.normal(size=700),
        chance.standard_t(2, size=700),
        chance.integers(-2, 3, 700) * 1.0,
        np.where(chance.random(700) < 0.02, chance.normal(size=700), 0.25),
    ):
        found = part("outside")(values, 252, 252, 1.5)
        some = np.sort(chance.choice(np.arange(252, 700), 60, replace=False))
        assert (part("outside")(values, some, 252, 1.5) == found[some - 252]).all()
        for at, flag in enumerate(found):
            low, high = np.quantile(values[at : at + 252], [0.25, 0.75])
            reach = 1.5 * (high - low)
            # numpy's quantile rounds otherwise: what lies on a fence is not told by it.
            if (
                min(abs(values[at + 252] - low + reach), abs(values[at + 252] - high - reach))
                > 1e-12
            ):
                assert flag == (not low - reach <= values[at + 252] <= high + reach), at


@pytest.mark.parametrize("window", WINDOWS)
def test_one_window_alone_gives_the_bits_that_it_gives_among_many(series, window):
    values = np.random.default_rng(5).normal(size=1500)
    means, deviations = series.moments(values, window - 1, window)
    plain = series.means(values, window - 1, window)
    for end in (window - 1, window, 506, 507, 900, 1499):
        part = slice(end - window + 1, end - window + 2)
        mean, deviation = series.moments(values[: end + 1], end, window)
        assert mean.tobytes() == means[part].tobytes()
        assert deviation.tobytes() == deviations[part].tobytes()
        assert series.means(values[: end + 1], end, window).tobytes() == plain[part].tobytes()


@pytest.mark.parametrize("window", WINDOWS)
def test_means_and_deviations_agree_with_the_slow_way(series, window):
    values = np.random.default_rng(6).normal(1e6, 1, 400)
    means, deviations = series.moments(values, 300, window)
    plain = series.means(values, 300, window)
    for n, end in enumerate(range(301, 401)):
        past = values[end - window : end].tolist()
        for found, expected in (
            (means[n], statistics.fmean(past)),
            (plain[n], statistics.fmean(past)),
            (deviations[n], statistics.stdev(past)),
        ):
            assert math.isclose(found, expected, rel_tol=1e-12)


def test_equal_values_have_no_deviation_though_their_sum_is_rounded(series):
    mean, deviation = series.moments(np.full(30, 0.1), 19, 20)
    assert set(mean.tolist()) == {0.1}
    assert set(deviation.tolist()) == {0.0}


def test_less_than_a_window_is_nothing(series):
    for length in (0, 1, 19):
        values = np.ones(length)
        assert len(series.means(values, 19, 20)) == 0
        assert [len(each) for each in series.moments(values, 19, 20)] == [0, 0]
        z, _, _, judged = series.scores(values, 0, 20, 4, 1.5)
        assert np.isnan(z).all()
        assert not judged.any()
