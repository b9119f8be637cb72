"""What is asked of exchange_calendars, and what comes of it."""

from __future__ import annotations

from datetime import date

import pytest

from ta_lab2.errors import Refused
from ta_lab2.timemodel import exchange


def test_a_schedule_reaches_to_the_end_of_the_second_year_ahead():
    found = exchange.schedule("XNYS", date(2024, 2, 29))
    assert (found.first, found.last) == (date(1990, 1, 1), date(2026, 12, 31))
    assert (found.dates[0], found.dates[-1]) == (date(1990, 1, 2), date(2026, 12, 31))
    sizes = {len(each) for each in (found.dates, found.opens, found.closes, found.early)}
    assert sizes == {len(found.dates)}
    assert {moment.tzname() for moment in [*found.opens, *found.closes]} == {"UTC"}
    assert [day for day, early in zip(found.dates, found.early, strict=True) if early][-3:] == [
        date(2025, 12, 24),
        date(2026, 11, 27),
        date(2026, 12, 24),
    ]


def test_all_days_of_a_year_give_the_same_schedule():
    assert exchange.schedule("XNYS", date(2024, 1, 1)) == exchange.schedule(
        "XNYS", date(2024, 12, 31)
    )


def test_a_schedule_ends_where_the_holidays_are_not_announced_yet():
    found = exchange.schedule("XSHG", date(2099, 1, 1))
    assert found.first > date(1990, 1, 1)
    assert found.last < date(2099, 1, 1)
    assert found.dates[0] >= found.first
    assert found.dates[-1] <= found.last


def test_an_unknown_calendar_is_refused_by_name():
    with pytest.raises(Refused, match="no calendar XNOWHERE"):
        exchange.schedule("XNOWHERE", date(2024, 1, 1))
