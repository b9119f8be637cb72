"""Figures as SVG that stands inside a page: text stays text, and the page's own font writes it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from ta_lab2.charts.panels import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A point of the figure is a pixel of the page.
_DPI: Final = 72
_STYLE: Final[Any] = {
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlecolor": FAINT,
    "axes.titlepad": 6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "ta-lab2",
}
_BEFORE: Final = re.compile(r"\A.*?(?=<svg)", re.DOTALL)
_METADATA: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_IDS: Final = re.compile(r'(\bid="|href="#|url\(#)')
_SIZE: Final = re.compile(r'(<svg [^>]*?)width="[^"]*pt" height="[^"]*pt"')
_PATHS: Final = re.compile(r' d="[^"]+"')
_DECIMALS: Final = re.compile(r"(\.\d)\d+")


class Sheet:
    """A figure that is being drawn, and its SVG once it is."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.svg = ""


@contextmanager
def sheet(name: str, width: int, height: int, *, title: str) -> Iterator[Sheet]:
    """Yield an empty sheet of our style; afterwards its ``svg`` may stand in a page with others.

    Args:
        name: what its ids begin with, another one for each figure of a page.
        width: in pixels, at which its text has the size that is meant; height likewise.
        title: what it shows, for those who hear the page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        made = Sheet(Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI))
        made.figure.set_facecolor("none")
        yield made
        text = io.StringIO()
        made.figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    made.svg = _embedded(text.getvalue(), name, title)


def _embedded(svg: str, name: str, title: str) -> str:
    """Return what stands in a page: without prolog, with ids of its own, in tenths of pixels."""
    svg = _METADATA.sub("", _BEFORE.sub("", svg), count=1)
    svg = _IDS.sub(rf"\g<1>{name}-", svg)
    svg = _PATHS.sub(lambda path: _DECIMALS.sub(r"\1", path[0]), svg)
    svg = _SIZE.sub(rf'\1role="img" aria-labelledby="{name}-title"', svg, count=1)
    end = svg.index(">") + 1
    return f'{svg[:end]}<title id="{name}-title">{escape(title)}</title>{svg[end:]}'
