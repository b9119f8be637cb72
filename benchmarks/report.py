"""RESULTS.md: one section a table, each written anew when it is run."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = (
    "# Results\n\nWritten by `make bench`. Times are of one machine on one day; the ratios are the"
    " point, all of one run, each contender in turn.\n"
)


@dataclass(frozen=True)
class Section:
    """A heading, what was measured, and the lines of a table with its own header."""

    heading: str
    about: str
    table: Sequence[str]


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def compared(
    taken: Mapping[str, list[float]], base: str, apart: Mapping[str, str], notes: Mapping[str, str]
) -> list[str]:
    """A table of contenders: seconds, and how many times the one of ours."""
    lines = [
        line(["who", "median s", "all", f"times {base}'s", "rows apart", "does and does not"]),
        line(["---"] * 6),
    ]
    ours = float(np.median(taken[base]))
    for who, times in taken.items():
        middle = float(np.median(times))
        each = ", ".join(f"{one:.3g}" for one in times)
        lines.append(
            line([who, f"{middle:.3g}", each, f"{middle / ours:.2f}", apart[who], notes[who]])
        )
    return lines


def machine(conn: psycopg.Connection) -> str:
    """Where and with what it was measured."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    row = conn.execute(
        "select current_setting('server_version'), current_setting('fsync')"
    ).fetchone()
    version, fsync = row if row else ("", "")
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {model[1] if model else platform.machine()},"
        f" {os.cpu_count()} cores, PostgreSQL {version.split()[0]} with fsync {fsync},"
        f" numpy {np.__version__} and pandas {pd.__version__} in the clients."
    )


def keep(section: Section, about: str) -> None:
    """Put a section into RESULTS.md, in the place of an older one with its heading."""
    RESULTS.write_text(_with(RESULTS.read_text() if RESULTS.exists() else "", section, about))


def show(section: Section, about: str) -> None:
    """Print a section."""
    print(_with("", section, about), flush=True)


def _with(text: str, section: Section, about: str) -> str:
    """The text of RESULTS.md with a section in its place."""
    sections = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", text, re.M))
    body = "\n".join(["", f"{section.about} {about}", "", *section.table])
    sections[section.heading] = body
    return _HEAD + "".join(
        f"\n## {heading}\n{body.rstrip()}\n" for heading, body in sections.items()
    )
