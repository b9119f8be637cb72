"""Charts as PNG files: the same rows always give the same bytes.

Every figure has been computed by the database; nothing here calculates, it only places ink.
matplotlib comes with the extra ``charts`` and is imported when a chart is drawn. Its
interactive half (pyplot, backends, the user's matplotlibrc) is never touched.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ta_lab2.charts import bands, panels
from ta_lab2.charts import spans as _spans
from ta_lab2.charts.bands import Labelled
from ta_lab2.charts.candles import Candles, draw_candles
from ta_lab2.charts.line import Line, span
from ta_lab2.charts.panels import DPI, FAINT, INK
from ta_lab2.charts.spans import Row, Span
from ta_lab2.counted import counted
from ta_lab2.errors import Refused

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

__all__ = [
    "HEIGHT", "TALL", "WIDTH", "Candles", "Labelled", "Line", "Row", "Span",
    "place", "prices", "regimes", "require", "spans", "write",
]  # fmt: skip

WIDTH: Final = 1600
HEIGHT: Final = 1040
#: With bars of several timeframes below.
TALL: Final = 1460
_LEFT: Final = 0.06
_RIGHT: Final = 0.87
_TOP: Final = 151
_BOTTOM: Final = 88


def require() -> None:
    """Refuse, before any work is done, when matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise Refused(
            "charts need matplotlib, which is not installed",
            "Run `pip install 'ta-lab2[charts]'`.",
        )


def place(path: Path) -> Path:
    """Return the full path of a chart that is to be drawn, or refuse it before any work is done."""
    path = path.expanduser().resolve()
    if path.suffix.lower() != ".png":
        raise Refused(f"a chart is a PNG, and {path} is not called .png", "Add .png to the name.")
    if path.exists() and not path.is_file():
        raise Refused(f"{path} is there and is not a file", "Name another place with --chart PATH.")
    with _writing(path) as aside:
        aside.touch()
    return path


def write(png: bytes, path: Path) -> None:
    """Write a chart beside its place and rename it there: it is never half written."""
    with _writing(path) as aside:
        aside.write_bytes(png)
        aside.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Yield a name beside a path that is gone afterwards; what fails is said in a sentence."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(
            f"the chart can't be written to {path}: {error.strerror}",
            "Name another place with --chart PATH.",
        ) from error


def prices(
    lines: Sequence[Line],
    *,
    title: str,
    source: str,
    candles: Sequence[Candles] = (),
    of: int | None = None,
    synthetic: bool = False,
) -> bytes:
    """Return a PNG of indexed prices above one-session returns, and bars with EMAs below them.

    Args:
        lines: the assets, in the order of their colours.
        title: the first line, in bold.
        source: where the data come from, the small line at the foot.
        candles: bars of one or more timeframes, side by side.
        of: how many assets there are, if not all of them are drawn.
        synthetic: whether SYNTHETIC goes across the whole chart.
    """
    require()
    lines = [line for line in lines if line.candles()]
    if not lines:
        raise Refused("there is nothing to draw: no candles", "Load prices with `ta-lab2 ingest`.")
    height = TALL if candles else HEIGHT
    with _sheet(height) as (figure, canvas):
        # Margins in pixels: a taller picture has more room for panels, not for air.
        grid = figure.add_gridspec(
            3 if candles else 2,
            1,
            height_ratios=(2.6, 1, 1.35) if candles else (2.6, 1),
            left=_LEFT,
            right=_RIGHT,
            top=1 - _TOP / height,
            bottom=_BOTTOM / height,
            hspace=0.36 if candles else 0.28,
        )
        above, below = (figure.add_subplot(grid[at]) for at in range(2))
        if candles:
            row = grid[2].subgridspec(1, len(candles), wspace=0.16)
            for at, each in enumerate(candles):
                axes = figure.add_subplot(row[at])
                draw_candles(axes, each)
                if at == len(candles) - 1:
                    axes.legend(
                        loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=8
                    )
        panels.draw_index(above, lines)
        if len(lines) == 1:
            panels.draw_returns_over_time(below, lines[0])
        else:
            panels.draw_returns_by_asset(below, lines)
        _write_margins(
            figure, lines, height, title=title, source=source, of=of, synthetic=synthetic
        )
        canvas.draw()
    return _png(canvas, height)


def spans(
    rows: Sequence[Row],
    *,
    title: str,
    subtitle: str,
    source: str,
    first: date,
    last: date,
    open_days: Sequence[date],
    short_days: Sequence[date] = (),
    since: date,
) -> bytes:
    """Return a PNG of rows of spans over the days from first to last.

    Args:
        rows: from above, each with its spans.
        title: the first line, in bold.
        subtitle: what the colours say.
        source: where the spans come from, the small line at the foot.
        first: the first day of the axis; last, the last one.
        open_days: the days that are not shaded.
        short_days: those of them that are marked as short.
        since: the day that the line stands before.
    """
    require()
    with _sheet(HEIGHT) as (figure, canvas):
        axes = figure.subplots(
            gridspec_kw={"left": 0.18, "right": 0.985, "top": 0.885, "bottom": 0.045}
        )
        _spans.draw(
            axes, rows, first=first, last=last, open_days=open_days, short_days=short_days,
            since=since,
        )  # fmt: skip
        figure.text(0.015, 0.965, title, fontsize=13, fontweight="bold", va="center")
        figure.text(0.015, 0.921, subtitle, fontsize=7.5, color=FAINT, va="center", linespacing=1.5)
        figure.text(0.015, 0.014, source, fontsize=7, color=FAINT, va="bottom")
        canvas.draw()
    return _png(canvas, HEIGHT)


def regimes(layers: Sequence[tuple[str, Labelled]], *, title: str, source: str) -> bytes:
    """Return a PNG of one asset's closes, once for each layer, coloured by its labels.

    Args:
        layers: from above, each with what its panel is called.
        title: the first line, in bold.
        source: where the labels come from, the small line at the foot.
    """
    require()
    with _sheet(HEIGHT) as (figure, canvas):
        panels_ = figure.subplots(
            len(layers), 1, sharex=True, squeeze=False,
            gridspec_kw={
                "left": 0.05, "right": 0.985, "top": 0.89, "bottom": 0.07, "hspace": 0.2,
                "height_ratios": [2.2, *[1] * (len(layers) - 1)],
            },
        )  # fmt: skip
        for at, (axes, (name, line)) in enumerate(zip(panels_[:, 0], layers, strict=True)):
            bands.draw(axes, line, title=name, legend=at == 0)
        figure.text(0.015, 0.965, title, fontsize=13, fontweight="bold", va="center")
        figure.text(0.015, 0.014, source, fontsize=7, color=FAINT, va="bottom")
        canvas.draw()
    return _png(canvas, HEIGHT)


@contextmanager
def _sheet(height: int) -> Iterator[tuple[Figure, FigureCanvasAgg]]:
    """Yield an empty figure of our style, whatever the user's settings are."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI)
        yield figure, FigureCanvasAgg(figure)


def _png(canvas: FigureCanvasAgg, height: int) -> bytes:
    """Return the drawn canvas as a PNG with 256 colours: a third of the size, no date in it."""
    from PIL import Image

    drawn = Image.frombytes("RGBA", (WIDTH, height), bytes(canvas.buffer_rgba()))
    png = io.BytesIO()
    drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    return png.getvalue()


_STYLE: Final[Any] = {
    "font.size": 8,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8.5,
    "axes.titlepad": 7,
    "axes.axisbelow": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
}


def _write_margins(
    figure: Figure,
    lines: Sequence[Line],
    height: int,
    *,
    title: str,
    source: str,
    of: int | None,
    synthetic: bool,
) -> None:
    """Write the title, the source and, where it must be, SYNTHETIC."""
    first, last = span(lines)
    assets = counted(len(lines), "asset")
    if of is not None and of > len(lines):
        assets = f"{len(lines)} of {of} assets, the longest histories"
    figure.text(_LEFT, 1 - 42 / height, title, fontsize=13, fontweight="bold", va="center")
    figure.text(
        _LEFT, 1 - 79 / height,
        f"{assets}, daily candles in USD, {first} to {last}",
        fontsize=8.5, color=FAINT, va="center",
    )  # fmt: skip
    figure.text(_LEFT, 19 / height, source, fontsize=7, color=FAINT, va="bottom")
    if synthetic:
        figure.text(
            (_LEFT + _RIGHT) / 2, 0.49, "SYNTHETIC",
            fontsize=92, fontweight="bold", color="#B00020", alpha=0.10,
            rotation=22, ha="center", va="center", zorder=10,
        )  # fmt: skip
