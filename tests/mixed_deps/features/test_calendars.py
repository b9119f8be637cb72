"""The calendars that a step gives its kernel: one for all assets of a session."""

from __future__ import annotations

import pytest


@pytest.fixture
def other(tx):
    """Two sessions that are always open: CRYPTO and OTHER."""
    tx.execute(
        """
        insert into timemodel.dim_sessions
        select (jsonb_populate_record(d, '{"session_id": "OTHER"}')).*
        from timemodel.dim_sessions as d
        where d.session_id = 'CRYPTO'
        """
    )
    return tx


def calendars(conn, assets: list[tuple[str, str | None, str | None]]):
    """Each asset's place, and how many sessions every calendar has."""
    sessions, firsts, lasts = (list(column) for column in zip(*assets, strict=True))
    return conn.execute(
        """
        select
            c.places,
            array(
                -- Binary: the count stands behind 12 bytes of header.
                select ('x' || encode(substr(s.packed, 13, 4), 'hex'))::bit(32)::integer
                from unnest(c.sessions) with ordinality as s (packed, place)
                order by s.place
            )
        from features.calendars(%s, %s::timestamptz[], %s::timestamptz[]) as c
        """,
        (sessions, firsts, lasts),
    ).fetchone()


def test_assets_of_a_session_share_a_calendar_from_the_first_candle_to_the_last(other):
    places, lengths = calendars(
        other,
        [
            ("OTHER", "2024-03-01 23:59:59.999+00", "2024-03-02 23:59:59.999+00"),
            ("CRYPTO", "2024-01-02 23:59:59.999+00", "2024-01-05 23:59:59.999+00"),
            ("OTHER", "2024-03-02 23:59:59.999+00", "2024-03-03 23:59:59.999+00"),
            ("CRYPTO", "2024-01-01 23:59:59.999+00", "2024-01-03 23:59:59.999+00"),
        ],
    )
    assert places[0] == places[2] != places[1] == places[3]
    assert sorted(places) == [1, 1, 2, 2]
    assert [lengths[place - 1] for place in places] == [3, 5, 3, 5]


def test_assets_without_candles_have_a_calendar_that_is_null(other):
    places, lengths = calendars(
        other,
        [
            ("OTHER", None, None),
            ("CRYPTO", "2024-01-01 23:59:59.999+00", "2024-01-03 23:59:59.999+00"),
        ],
    )
    assert sorted(places) == [1, 2]
    assert [lengths[place - 1] for place in places] == [None, 3]
