"""The chart: valid, the same every time, and readable whatever it is given."""

from __future__ import annotations

import io
import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ta_lab2 import charts
from ta_lab2.charts import Candles, Line, panels
from ta_lab2.errors import Refused

image = pytest.importorskip("PIL.Image", reason="charts need the extra `charts`")

FIRST = date(2024, 1, 1)


def line(symbol="AAA", index=(100.0, 110.0, 99.0, 120.0), **changed):
    """An asset with one candle a day."""
    returns = [None, *(0.1 for _ in index[1:])]
    made = {
        "symbol": symbol,
        "days": [FIRST + timedelta(days=at) for at in range(len(index))],
        "index": list(index),
        "returns": returns,
        "quantiles": [-0.1, -0.05, 0.0, 0.05, 0.1] if len(index) > 1 else None,
        "ends_early": False,
    }
    return Line(**made | changed)


def draw(*lines, **options):
    return charts.prices(lines, title="A title", source="A source", **options)


def pixels(png):
    with image.open(io.BytesIO(png)) as picture:
        return picture.convert("RGB").tobytes()


def test_a_chart_is_a_png_of_the_size_that_is_promised():
    with image.open(io.BytesIO(draw(line(), line("BBB")))) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (charts.WIDTH, charts.HEIGHT))
        assert not picture.info.keys() & {"Software", "Creation Time", "date"}


def test_the_same_lines_give_the_same_bytes():
    assert draw(line(), line("BBB")) == draw(line(), line("BBB"))


def test_the_users_own_matplotlib_settings_change_nothing():
    import matplotlib

    before = draw(line())
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "lines.linewidth": 9}):
        assert draw(line()) == before
        assert matplotlib.rcParams["font.size"] == 20


def test_drawing_leaves_pyplot_alone():
    import subprocess
    import sys

    code = (
        "import sys; from datetime import date; from ta_lab2 import charts;"
        "a = charts.Line('A', [date(2024, 1, 1)], [100.0], [None], None, False);"
        "charts.prices([a], title='', source='');"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def tinted(png):
    """Where the chart has the pale red of the word across it: columns and rows."""
    data = pixels(png)
    at = [
        at // 3 for at in range(0, len(data), 3) if data[at] > 240 and data[at] - data[at + 1] > 8
    ]
    return [place % charts.WIDTH for place in at], [place // charts.WIDTH for place in at]


def test_synthetic_is_written_across_the_chart():
    columns, rows = tinted(draw(line(), synthetic=True))
    assert max(columns) - min(columns) > charts.WIDTH * 0.6
    assert max(rows) - min(rows) > charts.HEIGHT * 0.4
    assert len(rows) > 50_000


def test_a_real_chart_has_nothing_written_across():
    assert len(tinted(draw(line()))[0]) < 500


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([line(index=(100.0,))], id="one candle"),
        pytest.param([line()], id="one asset"),
        pytest.param([line(index=(100.0,)), line("BBB", index=(100.0,))], id="two of one candle"),
        pytest.param([line(returns=[None] * 4, quantiles=None)], id="one without returns"),
        pytest.param(
            [line(s, returns=[None] * 4, quantiles=None) for s in "AB"], id="none has returns"
        ),
        pytest.param([line(index=(100.0, None, None, 90.0)), line("B")], id="a gap"),
        pytest.param([line(index=(100.0, None, 95.0, None, 90.0)), line("B")], id="a lone candle"),
        pytest.param([line(ends_early=True), line("B", index=(100.0,) * 9)], id="an early end"),
        pytest.param([line(index=(100.0, 1e9, 1e-9))], id="eighteen magnitudes"),
        pytest.param([line(index=(100.0, 100.0, 100.0))], id="a flat line"),
        pytest.param([line("$x_{2}$"), line("$\\frac$"), line("%")], id="symbols like formulas"),
        pytest.param([line("A" * 200), line("B" * 200)], id="long symbols"),
        pytest.param([line(f"S{at:02}") for at in range(24)], id="24 alike"),
        pytest.param([line("A", index=(None, None)), line("B")], id="one without candles"),
    ],
)
def test_it_draws(lines):
    assert draw(*lines).startswith(b"\x89PNG")


def test_a_gap_is_seen():
    whole = line(index=tuple(100.0 + at % 7 for at in range(300)))
    holed = line(index=tuple(None if 100 <= at < 200 else 100.0 + at % 7 for at in range(300)))
    assert draw(whole) != draw(holed)


@pytest.mark.parametrize("lines", [[], [line(index=(None, None))]])
def test_without_candles_there_is_nothing_to_draw(lines):
    with pytest.raises(Refused, match="no candles"):
        draw(*lines)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40).map(sorted),
    st.floats(0.001, 0.2),
)
def test_labels_keep_their_order_and_stay_apart_within_the_panel(wanted, room):
    places = panels._spread(wanted, room=room)
    room = min(room, 1 / max(1, len(wanted) - 1))
    assert len(places) == len(wanted)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(b - a >= room - 1e-9 for a, b in itertools.pairwise(places))


def test_labels_with_room_stay_where_they_are():
    assert panels._spread([0.1, 0.5, 0.9], room=0.1) == [0.1, 0.5, 0.9]


def test_labels_too_near_move_evenly():
    assert panels._spread([0.5, 0.5], room=0.1) == pytest.approx([0.45, 0.55])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.0123"), (88.23, "88.2"), (2303.4, "2,303"), (12_345, "12.3k"),
     (968_000, "968k"), (4.5e6, "4.5M"), (1e9, "1B"), (2e12, "2T")],
)  # fmt: skip
def test_numbers_on_the_axis_are_short(value, text):
    assert panels.short(value) == text


def test_percentages_have_a_true_minus_and_no_needless_decimals():
    assert [panels._percent(value) for value in (-0.2, 0.0, 0.0005, 0.1)] == [
        "\N{MINUS SIGN}20 %", "0 %", "0.05 %", "10 %",
    ]  # fmt: skip


def test_a_chart_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path):
    path = charts.place(tmp_path / "new" / "a.png")
    charts.write(b"first", path)
    charts.write(b"second", path)
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_to_a_chart_stays_a_link(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    charts.write(b"x", charts.place(tmp_path / "link.png"))
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"x"


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match=r"can't be written to .*file/a\.png"):
        charts.place(tmp_path / "file" / "a.png")


def test_a_place_that_is_no_png_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"not called \.png"):
        charts.place(tmp_path / "a.svg")


def test_a_folder_is_never_replaced(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(Refused, match="not a file"):
        charts.place(tmp_path / "a.png")


def test_a_missing_matplotlib_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(charts, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="matplotlib") as error:
        charts.require()
    assert "ta-lab2[charts]" in error.value.hint


def candles(tf="1D", closes=(1.0, 1.5, 1.2), **changed):
    """Bars a week apart, each from the close before it, with EMAs that are known from bar 2 on."""
    opens = [closes[0], *closes[:-1]]
    made = {
        "symbol": "AAA",
        "tf": tf,
        "days": [FIRST + timedelta(weeks=at) for at in range(len(closes))],
        "opens": opens,
        "highs": [1.1 * max(pair) for pair in zip(opens, closes, strict=True)],
        "lows": [0.9 * min(pair) for pair in zip(opens, closes, strict=True)],
        "closes": list(closes),
        "periods": [2, 9, 21],
        "emas": [[None if at < 1 else 1.2, None, None] for at in range(len(closes))],
    }
    return Candles(**made | changed)


def test_bars_of_several_timeframes_make_the_chart_taller():
    png = draw(
        line(), line("BBB"), candles=[candles("1D"), candles("1W_CAL_ISO"), candles("1M_CAL")]
    )
    with image.open(io.BytesIO(png)) as picture:
        assert picture.size == (charts.WIDTH, charts.TALL)


@pytest.mark.parametrize(
    "closes",
    [(1.0,), (1.0, 1.0), (1e-10, 1e12), tuple(1 + at % 7 for at in range(400))],
    ids=["one bar", "no movement", "22 decades", "400 bars"],
)
def test_bars_are_drawn_whatever_their_prices(closes):
    assert draw(line(), candles=[candles(closes=closes)])


def test_an_ema_changes_the_picture():
    without = candles(emas=[[None, None, None]] * 3)
    assert draw(line(), candles=[candles()]) != draw(line(), candles=[without])
