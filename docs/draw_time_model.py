"""Draw docs/time-model.png from a database that has the EQUITY calendar.

    python docs/draw_time_model.py postgresql://...

Every span comes from timemodel.timeframe_windows(); nothing is computed here.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import psycopg

from ta_lab2 import charts

PICTURE = Path(__file__).with_name("time-model.png")
FIRST, LAST = date(2024, 11, 1), date(2024, 12, 15)
SINCE = date(2024, 11, 6)
SHOWN = {
    "1D": "every session",
    "5D": "5 sessions, from the first candle",
    "1W": "a trading week, from the first candle",
    "7D_CAL": "7 days, fixed grid",
    "1W_CAL_ISO": "Mon to Sun, from the first full week",
    "1W_CAL_US": "Sun to Sat, from the first full week",
    "2W_CAL_ISO": "2 weeks, from the first full week",
    "2W_CAL_ANCHOR_ISO": "2 weeks, fixed grid",
    "1M_CAL": "from the first full month",
    "1M_CAL_ANCHOR": "the first month may be partial",
}


def draw(conn: psycopg.Connection) -> bytes:
    """Return the picture as a PNG."""
    days = conn.execute(
        """
        select c.session_date, c.is_early_close
        from timemodel.session_calendar as c
        where c.session_id = 'EQUITY' and c.session_date between %s and %s
        """,
        (FIRST, LAST),
    ).fetchall()
    windows = conn.execute(
        """
        select t.tf, w.starts_on, w.ends_on, w.first_session, w.last_session, w.bar_seq, w.sessions,
            w.is_partial_start
        from timemodel.dim_timeframe as t
        cross join lateral timemodel.timeframe_windows(t.tf_id, 'EQUITY', %s, %s, %s) as w
        where t.tf = any (%s)
        order by w.bar_seq
        """,
        (SINCE, SINCE, LAST, list(SHOWN)),
    ).fetchall()
    rows = [
        charts.Row(
            name,
            note,
            [
                charts.Span(
                    *dates, f"{number}: {count} session{'s'[: count - 1]}", is_marked=is_partial
                )
                for tf, *dates, number, count, is_partial in windows
                if tf == name
            ],
        )
        for name, note in SHOWN.items()
    ]
    return charts.spans(
        rows,
        title="Bars of ten timeframes over Thanksgiving 2024",
        subtitle="New York Stock Exchange, an asset whose first candle is of 6 November."
        " Number of the bar: its scheduled sessions.\nFull colour: first session to last;"
        " pale: the rest of its window; hatched: begins before the first candle; grey: no session.",
        source="timemodel.timeframe_windows(), drawn by docs/draw_time_model.py",
        first=FIRST,
        last=LAST,
        open_days=[day for day, _ in days],
        short_days=[day for day, is_short in days if is_short],
        since=SINCE,
    )


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1]) as connection:
        charts.write(draw(connection), PICTURE)
