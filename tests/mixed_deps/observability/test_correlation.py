"""Whose correlation id a record carries: the session's, a given one, or a new one."""

from __future__ import annotations

import re

import psycopg
import pytest

from ta_lab2.observability import errors, queries
from tests.support.records import HEX, call, row_of


def test_a_new_correlation_id_is_32_hex_digits_and_never_the_same(tx):
    ids = {call(tx, "new_correlation_id") for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_nested_calls_of_a_transaction_share_their_correlation_id(tx):
    metric = row_of(tx, "metrics", metric_id=call(tx, "record_metric", "a.b", 1))
    alert = row_of(tx, "alerts", alert_id=call(tx, "record_alert", "a", "info", "m"))
    trace = row_of(tx, "traces", trace_id=call(tx, "start_trace", "a"))
    flow = row_of(tx, "workflow_state", workflow_id=call(tx, "set_workflow_state", "a", "b"))
    assert len({each["correlation_id"] for each in (metric, alert, trace, flow)}) == 1


def test_the_sessions_correlation_id_is_taken_and_a_given_one_goes_before_it(tx):
    tx.execute("select set_config('ta_lab2.correlation_id', %s, true)", (HEX,))
    assert call(tx, "correlation_id") == HEX
    assert call(tx, "correlation_id", "f" * 32) == "f" * 32
    assert call(tx, "correlation_id") == HEX


def test_the_id_that_a_transaction_made_ends_with_it(own_db, autocommit):
    conn = autocommit(own_db)
    with conn.transaction():
        first = call(conn, "correlation_id")
        assert call(conn, "correlation_id") == first
    assert call(conn, "correlation_id") != first


def test_correlated_spans_transactions_and_puts_back_what_was_there(own_db, autocommit):
    conn = autocommit(own_db)
    with queries.correlated(conn) as outer:
        assert call(conn, "correlation_id") == outer
        with queries.correlated(conn, HEX) as inner:
            assert inner == HEX
            assert call(conn, "correlation_id") == HEX
        assert call(conn, "correlation_id") == outer
    assert call(conn, "correlation_id") != outer
    with pytest.raises(errors.CorrelationIdMalformed), queries.correlated(conn, "mine"):
        pass


def test_correlated_refuses_an_open_transaction(own_db):
    with (
        psycopg.connect(own_db) as conn,
        pytest.raises(ValueError, match="autocommit"),
        queries.correlated(conn),
    ):
        pass


def test_two_sessions_at_once_never_mix_their_correlation_ids(own_db, autocommit):
    one, two = autocommit(own_db), autocommit(own_db)
    with queries.correlated(one) as first, queries.correlated(two) as second:
        kept = [
            (wanted, queries.record_metric(conn, "a.b", number))
            for number in range(5)
            for conn, wanted in ((one, first), (two, second))
        ]
    assert first != second
    for wanted, metric in kept:
        assert row_of(one, "metrics", metric_id=metric)["correlation_id"] == wanted


@pytest.mark.parametrize("bad", ["f" * 31, "F" * 32, "f" * 33, "g" * 32, HEX + "\n", ""])
def test_a_correlation_id_that_is_none_is_refused(tx, bad):
    with pytest.raises(errors.CorrelationIdMalformed):
        call(tx, "correlation_id", bad)


def test_a_setting_that_is_no_correlation_id_is_refused(tx):
    tx.execute("select set_config('ta_lab2.correlation_id', 'mine', true)")
    with pytest.raises(errors.CorrelationIdMalformed, match="32 hex digits"):
        call(tx, "record_metric", "a", 1)
