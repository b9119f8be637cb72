"""Dates and times of files: the database and the detection of layouts read them alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ta_lab2.bars.formats.moments import moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamps(conn, texts):
    conn.execute("set local timezone = 'UTC'")
    rows = conn.execute(
        """
        select bars._stamp(t.text)
        from unnest(%s::text[]) with ordinality as t (text, place)
        order by t.place
        """,
        (list(texts),),
    ).fetchall()
    return [at for (at,) in rows]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("100000000", "1973-03-03 09:46:40"),
        ("1577836800", "2020-01-01"),
        ("1577836800.0", "2020-01-01"),
        ("1577836800000", "2020-01-01"),
        ("1577836799999", "2019-12-31 23:59:59.999"),
        ("1577836800000000", "2020-01-01"),
        ("1577836800000001", "2020-01-01 00:00:00.000001"),
        ("9010000000000001", "2255-07-08 09:46:40.000001"),
        ("9999999999", "2286-11-20 17:46:39"),
        ("9999999999999999", "2286-11-20 17:46:39.999999"),
    ],
)
def test_the_digits_of_a_number_tell_its_unit(tx, text, meant):
    expected = datetime.fromisoformat(meant).replace(tzinfo=UTC)
    assert stamps(tx, [text]) == [expected]
    assert moment(text) == expected


NO_TIMES = [
    *("", "0", "20200101", "99999999", "20200101000000", "0157783680", "-1577836800"),
    *("1577836800.5", "1.5778368e9", "1577836800s", " 1577836800", "15778368000", "1577836800 "),
    *("1577836800000000000", "10000000000000", "١٥٧٧٨٣٦٨٠٠", "2020-01-01T10", "2020/01/01", "now"),
    *("2020-01-01T24:00:00Z", "2016-12-31T23:59:60Z", "2020-01-01 24:00", "2020-01-01 10:60"),
    *("2020-01-01 00:00:00-05:00", "2020-02-30", "2020-01-01\n", "1577836800\n", "NaN"),
]


def test_what_could_mean_several_times_means_none(tx):
    assert dict(zip(NO_TIMES, stamps(tx, NO_TIMES), strict=True)) == dict.fromkeys(NO_TIMES)
    assert [text for text in NO_TIMES if moment(text)] == []


TIMES = st.datetimes(datetime(1973, 3, 4), datetime(2200, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(
        TIMES.flatmap(
            lambda at: st.sampled_from(
                [
                    at.isoformat(),
                    at.isoformat(sep=" ").replace("+00:00", "Z"),
                    at.date().isoformat(),
                    at.strftime("%Y-%m-%d %H:%M"),
                    *(
                        str((at - EPOCH) // timedelta(**{unit: 1}))
                        for unit in ("seconds", "milliseconds", "microseconds")
                    ),
                ]
            )
        )
        | st.from_regex(r"[0-9]{8,17}(\.0*)?", fullmatch=True),
        max_size=50,
    )
)
def test_both_read_them_alike(shared_conn, texts):
    assert stamps(shared_conn, texts) == [moment(text) for text in texts]


@pytest.fixture(scope="module")
def shared_conn(shared_db):
    with psycopg.connect(shared_db) as conn:
        yield conn
        conn.rollback()
