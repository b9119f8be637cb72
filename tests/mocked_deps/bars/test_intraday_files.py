"""How long the candles of a file are, when it is said that they are shorter than a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ta_lab2.bars.formats import Wanted, recognise
from ta_lab2.errors import Refused
from tests.support import prices

INTRADAY = Wanted(intraday=True)


def written(folder, times):
    return prices.write(
        folder,
        "1_bitcoin.csv",
        ["timestamp,open,high,low,close,volume", *(f"{time},1,3,0.5,2,1" for time in times)],
    )


@pytest.mark.parametrize(
    ("times", "minutes"),
    [
        (["2024-03-01 00:00:00+00:00", "2024-03-01 00:01:00+00:00"], 1),
        (["2024-03-01 02:00", "2024-03-01 01:00", "2024-03-01 00:00"], 60),
        # A gap, a repetition and a stray time among them.
        ([f"2024-03-01 {n:02}:30" for n in (0, 1, 2, 2, 5, 6, 7)] + ["2024-03-01 05:47"], 60),
        (["1498906800.0", "1498907100.0", "1498907400.0"], 5),
        (["1735689600000000", "1735689660000000"], 1),
    ],
)
def test_it_is_how_far_most_of_them_begin_after_each_other(tmp_path, times, minutes):
    assert recognise(written(tmp_path, times), INTRADAY).resolution == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["2024-03-01", "2024-03-02", "2024-03-03"], "1 day, 0:00:00 after each other"),
        (["2024-03-01 00:00", "2024-03-01 04:00"], "4:00:00 after each other"),
        (["2024-03-01 00:00", "2024-03-01 00:07"], "0:07:00 after each other"),
        (["2024-03-01 00:00", "2024-03-01 00:00"], "too few times"),
        (["soon", "later"], "too few times"),
    ],
)
def test_a_length_that_does_not_divide_the_hour_is_refused(tmp_path, times, said):
    with pytest.raises(Refused, match=said):
        recognise(written(tmp_path, times), INTRADAY)


def test_without_being_asked_they_are_refused_and_the_option_is_named(tmp_path):
    path = written(tmp_path, [f"2024-03-01 {n:02}:00" for n in range(24)])
    with pytest.raises(Refused, match="intraday") as refused:
        recognise(path)
    assert "--intraday" in refused.value.hint


def test_daily_candles_have_no_such_length(tmp_path):
    assert recognise(written(tmp_path, ["2024-03-01", "2024-03-02"])).resolution is None
