"""What is asked of an exchange, whatever it answers and wherever a run ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from ta_lab2.bars import feed
from ta_lab2.bars.exchange import Candle
from ta_lab2.bars.queries import Stored

STEP = timedelta(days=1)
NOW = 60


def at(day: int) -> datetime:
    return feed.BEGINNING + day * STEP


class Exchange:
    """Candles by day; an answer has at most so many.

    One kind of exchange goes on with the first candle after the moment, the other answers for the
    days that follow it, with nothing where there is nothing.
    """

    def __init__(self, days: set[int], most: int, goes_on: bool) -> None:
        self.days, self.most, self.goes_on = sorted(days), most, goes_on
        self.step, self.window = STEP, STEP * most
        self.asked = 0

    def candles(self, since: datetime, limit: int | None = None) -> list[Candle]:
        self.asked += 1
        begin, most = (since - at(0)) // STEP, min(limit or self.most, self.most)
        days = [day for day in self.days if day >= begin]
        if not self.goes_on:
            days = [day for day in days if day < begin + most]
        return [Candle(at(day), "", ()) for day in days[:most]]


def stored(days: set[int]) -> Stored | None:
    """What the database says of these days."""
    if not days:
        return None
    return Stored(at(min(days)), at(max(days)), at(sorted(days)[-feed.REREAD :][0]))


exchanges = st.builds(
    Exchange,
    st.sets(st.integers(0, NOW), max_size=NOW),
    st.integers(1, 20),
    st.booleans(),
)
#: Each: where the history is to begin, and after how many answers the run is killed.
runs = st.lists(st.tuples(st.none() | st.integers(0, NOW), st.integers(0, 6)), max_size=5)


@settings(max_examples=300, deadline=None)
@given(exchanges, runs, st.none() | st.integers(0, NOW))
def test_killed_runs_leave_no_hole_and_a_whole_one_fetches_the_rest(exchange, killed, since):
    have: set[int] = set()

    def run(since, answers=None):
        begin = None if since is None else at(since)
        pages = feed.answers(exchange, stored(have), begin, at(NOW))
        for page in islice(pages, answers):
            have.update((each.start - at(0)) // STEP for each in page)

    for begin, answers in killed:
        run(begin, answers)
        assert have == {day for day in exchange.days if have and min(have) <= day <= max(have)}
    first = (
        min([since or 0, *have]) if have and since is not None else min(have, default=since or 0)
    )
    run(since)
    assert have == {day for day in exchange.days if day >= first}


@settings(deadline=None)
@given(exchanges)
def test_the_second_run_asks_for_the_last_candles_alone(exchange):
    for page in feed.answers(exchange, None, None, at(NOW)):
        assert page
    exchange.asked = 0
    again = stored(set(exchange.days))
    if again is None:
        return
    days = [each.start for page in feed.answers(exchange, again, None, at(NOW)) for each in page]
    assert days == [at(day) for day in exchange.days[-feed.REREAD :]]


def test_what_begins_after_now_is_left_to_the_next_run_and_nonsense_is_not():
    exchange = Exchange({*range(3), NOW + 1, NOW + 2}, 20, True)
    given = [each.start for page in feed.answers(exchange, None, None, at(NOW)) for each in page]
    assert given == [at(0), at(1), at(2), at(NOW + 2)]
