"""The page of the further indicators says what stands, and its queries run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.support import contract
from tests.support.indicators import market, worked_out

PAGE = (Path(__file__).parents[3] / "docs" / "indicators-more.md").read_text()
SEEDS = {"rsi", "macd", "stochastic", "bollinger", "atr", "adx"}


def listed() -> dict[str, list[str]]:
    """The cells of each kind's row under Conventions."""
    table = PAGE.split("## Conventions")[1].split("\n\nThe typical price")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.M)
    return {kind: cells.split(" | ") for kind, cells in rows}


def test_each_kind_has_its_row_with_its_columns(tx):
    kinds = dict(
        tx.execute("select k.kind, indicators.column_names(k.kind) from indicators.kinds() as k")
    )
    assert set(listed()) == set(kinds) - SEEDS
    for kind, (_, columns, *_) in listed().items():
        named = re.findall(r"`(\w+)`", columns)
        if kind == "ichimoku":
            first, *others = named
            named = [first, *(first.replace("conversion", other) for other in others)]
        assert named == kinds[kind], kind


def test_the_first_values_are_where_it_says(tx):
    kinds = tx.execute(
        """
        select k.kind, indicators.parameters(k.kind), k.columns
        from indicators.kinds() as k
        """
    )
    for kind, params, columns in kinds:
        if kind in SEEDS:
            continue
        said = listed()[kind][3]
        if kind == "keltner":
            expected = [20, 20, 20]
        elif kind == "ichimoku":
            expected = [int(each) for each in said.split(", ")]
        else:
            # As 2n - 1, or a number.
            times, period, more = re.fullmatch(r"(\d*)(n?)(?: (. \d+))?", said).groups()
            first = int(times or 1) * (params["period"] if period else 1)
            expected = [first + int((more or "0").replace(" ", ""))] * len(columns)
        rows = [(*row[:4], 5.0) for row in market(150)]
        outputs, _ = worked_out(kind, params, rows)
        found = [int(np.argmin(np.isnan(values))) + 1 for values in outputs.values()]
        assert found == expected, kind


def test_its_queries_run(tx):
    contract.put(tx, 1, {n: contract.price(n, 1) for n in range(40)})
    (block,) = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)
    added, window, arrays = (part for part in block.split(";\n") if part.strip())
    tx.execute(added)
    assert len(tx.execute(window).fetchall()) == 40
    found = tx.execute(arrays).fetchall()
    assert len(found) == 40
    assert found[9][1:] == (None, None)
    assert found[10][2] in {1.0, -1.0}
