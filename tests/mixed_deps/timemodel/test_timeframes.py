"""The 199 timeframes: derived here by other code than the list in their revision."""

from __future__ import annotations

import calendar
from itertools import pairwise

import psycopg
import pytest

from ta_lab2.bars.errors import TimeframeInUse
from ta_lab2.errors import translated
from ta_lab2.timemodel.errors import TimeframeIsFixed

COUNTS = [
    *range(1, 32),
    *range(35, 365, 7),
    *(40, 50, 60, 90, 100, 120, 150, 180, 200, 250, 300, 360, 365),
]
WEEKS = (1, 2, 3, 4, 6, 8, 10)


def month_lengths(months: int) -> list[int]:
    """The days of every run of so many months over four hundred years."""
    days = [
        calendar.monthrange(year, month)[1] for year in range(2000, 2401) for month in range(1, 13)
    ]
    return [sum(days[at : at + months]) for at in range(len(days) - months)]


def aligned_lengths(months: int) -> list[int]:
    """The days of the runs that are aligned within the calendar year."""
    return month_lengths(months)[::months]


def expected() -> dict[str, tuple[object, ...]]:
    """Name to alignment, days, shortest, longest, canonical, partial start."""
    rows: dict[str, tuple[object, ...]] = {}
    for n in COUNTS:
        rows[f"{n}D"] = ("trading", n, n, n, True, False)
        if n <= 200:
            rows[f"{n}D_CAL"] = ("calendar", n, 1, n, False, True)
    rows["1W"] = ("trading", 7, 5, 7, False, False)
    for n in WEEKS:
        for scheme in ("ISO", "US"):
            rows[f"{n}W_CAL_{scheme}"] = ("calendar", 7 * n, 7 * n, 7 * n, scheme == "ISO", False)
            rows[f"{n}W_CAL_ANCHOR_{scheme}"] = ("calendar", 7 * n, 1, 7 * n, False, True)
    for n in (1, 2, 3, 4, 6, 9, 12):
        lengths = month_lengths(n)
        nominal = round(n * 365.25 / 12)
        rows[f"{n}M_CAL"] = ("calendar", nominal, min(lengths), max(lengths), True, False)
        if n < 9:
            longest = max(aligned_lengths(n))
            rows[f"{n}M_CAL_ANCHOR"] = ("calendar", nominal, 1, longest, False, True)
    rows["1Y_CAL"] = ("calendar", 365, 365, 366, True, False)
    rows["1Y_CAL_ANCHOR"] = ("calendar", 365, 1, 366, False, True)
    return rows


def test_there_are_199_of_them_as_the_rule_says(tx: psycopg.Connection) -> None:
    found = {
        name: tuple(rest)
        for name, *rest in tx.execute(
            """
            select t.tf, t.alignment, t.tf_days, t.tf_days_min, t.tf_days_max, t.is_canonical,
                   t.allow_partial_start
            from timemodel.dim_timeframe as t
            where t.is_active and t.allow_partial_end = t.allow_partial_start
            """
        )
    }
    assert found == expected()
    assert len(found) == 199


def test_the_anchors_and_schemes_are_those_of_their_names(tx: psycopg.Connection) -> None:
    rows = tx.execute(
        "select t.tf, t.anchor, t.calendar_scheme, t.label from timemodel.dim_timeframe as t"
    ).fetchall()
    for tf, anchor, scheme, label in rows:
        if "CAL" not in tf:
            assert (anchor, scheme) == (None, None)
        elif "W_" in tf:
            assert scheme == tf.rpartition("_")[2]
            assert anchor == ("EPOCH" if "ANCHOR" in tf else None)
        else:
            assert scheme == "CAL"
            assert anchor == ("EPOCH" if "D_" in tf else "YEAR" if "ANCHOR" in tf else None)
        assert label


def test_they_are_listed_by_family_and_length(tx: psycopg.Connection) -> None:
    rows = tx.execute(
        "select t.tf_qty, t.tf from timemodel.dim_timeframe as t order by t.sort_order"
    ).fetchall()
    steps = [(before, after) for before, after in pairwise(rows) if before[0] >= after[0]]
    assert len(steps) == 10, steps


def insert(tx: psycopg.Connection, **changes: object) -> None:
    """Insert a timeframe of 33 sessions, with something about it changed."""
    row = {
        "tf": "33D",
        "alignment": "trading",
        "base_unit": "D",
        "tf_qty": 33,
        "tf_days": 33,
        "tf_days_min": 33,
        "tf_days_max": 33,
        **changes,
    }
    names = ", ".join(row)
    places = ", ".join(["%s"] * len(row))
    tx.execute(
        f"insert into timemodel.dim_timeframe ({names}) values ({places})", list(row.values())
    )


WEEK = {"tf": "5W_CAL_ISO", "alignment": "calendar", "base_unit": "W", "tf_qty": 5}
DAYS = {"tf_days": 35, "tf_days_min": 35, "tf_days_max": 35}


@pytest.mark.parametrize(
    "row",
    [
        {},
        {**WEEK, **DAYS, "calendar_scheme": "ISO"},
        {
            **WEEK,
            **DAYS,
            "tf": "5W_CAL_ANCHOR_US",
            "calendar_scheme": "US",
            "anchor": "EPOCH",
            "tf_days_min": 1,
            "allow_partial_start": True,
        },
        {
            "tf": "5M_CAL",
            "alignment": "calendar",
            "base_unit": "M",
            "tf_qty": 5,
            "calendar_scheme": "CAL",
            "tf_days": 152,
            "tf_days_min": 150,
            "tf_days_max": 153,
        },
    ],
    ids=["sessions", "weeks", "weeks on a grid", "months"],
)
def test_an_insert_is_all_that_a_new_one_takes(tx: psycopg.Connection, row: dict) -> None:
    insert(tx, **row)
    found = tx.execute(
        "select t.tf_id from timemodel.dim_timeframe as t where t.tf = %s", (row.get("tf", "33D"),)
    ).fetchone()
    assert found is not None
    assert found[0] >= 200


@pytest.mark.parametrize(
    "nonsense",
    [
        {"tf": "34D"},
        {"tf_qty": 0},
        {"tf_days": 34},
        {"tf_days_min": 34},
        {"tf_days_max": 32},
        {"tf_days_min": 1},
        {"anchor": "EPOCH"},
        {"calendar_scheme": "ISO"},
        {"alignment": "lunar"},
        {"base_unit": "H"},
        {"tf": "33M", "base_unit": "M"},
        {"tf": "33D_CAL", "alignment": "calendar"},
        {"tf": "33D_CAL", "alignment": "calendar", "calendar_scheme": "CAL"},
        {"allow_partial_start": True},
        {"tf": "365D", "tf_qty": 365, "tf_days": 365, "tf_days_min": 365, "tf_days_max": 365},
        {"tf": "400D", "tf_qty": 400, "tf_days": 400, "tf_days_min": 400, "tf_days_max": 400},
        {**WEEK, **DAYS},
        {**WEEK, **DAYS, "calendar_scheme": "CAL"},
        {**WEEK, **DAYS, "calendar_scheme": "US"},
        {**WEEK, **DAYS, "calendar_scheme": "ISO", "anchor": "YEAR"},
        {**WEEK, **DAYS, "calendar_scheme": "ISO", "tf_days_min": 30},
    ],
    ids=str,
)
def test_nonsense_is_refused(tx: psycopg.Connection, nonsense: dict) -> None:
    with pytest.raises(psycopg.IntegrityError):
        insert(tx, **nonsense)


@pytest.mark.parametrize(
    "change", ["tf_qty = 6", "tf_id = 999", "tf = '6D'", "allow_partial_end = true"]
)
def test_what_a_timeframe_means_cannot_be_changed(tx: psycopg.Connection, change: str) -> None:
    with pytest.raises(TimeframeIsFixed, match="5D"), translated():
        tx.execute(f"update timemodel.dim_timeframe set {change} where tf = '5D'")


def test_its_label_and_whether_it_is_active_can(tx: psycopg.Connection) -> None:
    done = tx.execute(
        "update timemodel.dim_timeframe set label = 'A week', is_active = false where tf = '5D'"
    )
    assert done.rowcount == 1


def test_one_that_is_in_use_cannot_be_deleted(tx: psycopg.Connection) -> None:
    tx.execute("insert into bars.dim_assets (id, symbol, slug) values (1, 'BTC', 'bitcoin')")
    tx.execute(
        """
        insert into bars.cmc_price_bars_multi_tf (
            id, tf_id, time_close, time_open, bar_seq, open, high, low, close, time_high, time_low,
            is_partial_start, is_partial_end, count_days, count_missing_days
        )
        select 1, t.tf_id, now(), now(), 1, 1, 1, 1, 1, now(), now(), false, false, 1, 0
        from timemodel.dim_timeframe as t
        where t.tf = '5D'
        """
    )
    with pytest.raises(TimeframeInUse, match="5D"), translated():
        tx.execute("delete from timemodel.dim_timeframe where tf = '5D'")
