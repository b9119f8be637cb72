"""Each function's contract: what it keeps, what it refuses, and with which words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from ta_lab2.errors import DatabaseRaised
from ta_lab2.observability import errors, queries
from tests.support.records import HEX, call, counts, row_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_metric_keeps_what_was_given(tx):
    tags = {"id": 1, "source": "cmc", "full": True, "gen_ai.system": "x"}
    kept = row_of(
        tx, "metrics", metric_id=call(tx, "record_metric", "a.seconds", -1.5, tags, NOON, HEX)
    )
    assert kept.pop("metric_id")
    assert kept == {
        "correlation_id": HEX,
        "metric_name": "a.seconds",
        "value": -1.5,
        "tags": tags,
        "recorded_at": NOON,
    }


def test_what_a_metric_leaves_out_is_safe(tx):
    kept = row_of(tx, "metrics", metric_id=call(tx, "record_metric", "a", 0, None, None))
    assert kept["tags"] == {}
    assert abs(kept["recorded_at"] - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), -float("inf")])
def test_a_metric_without_a_number_is_refused(tx, bad):
    with pytest.raises(errors.ValueNotFinite, match="finite"):
        call(tx, "record_metric", "a", bad)


@pytest.mark.parametrize(
    "bad", [None, "", "A", "a b", "a.", ".a", "1a", "a..b", "a-b", "ä", "a\n", "a" * 201]
)
def test_a_name_that_is_not_dotted_lower_case_is_refused(tx, bad):
    for attempt in (
        lambda: call(tx, "record_metric", bad, 1),
        lambda: call(tx, "start_trace", bad),
        lambda: call(tx, "record_alert", bad, "info", "m"),
        lambda: call(tx, "set_workflow_state", bad, "b"),
        lambda: call(tx, "set_workflow_state", "b", bad),
    ):
        with pytest.raises(errors.NameMalformed):
            attempt()


@pytest.mark.parametrize("bad", [[1], "text", 3])
def test_tags_and_metadata_are_objects(tx, bad):
    for attempt in (
        lambda: call(tx, "record_metric", "a", 1, Jsonb(bad)),
        lambda: call(tx, "start_trace", "a", Jsonb(bad)),
        lambda: call(tx, "record_alert", "a", "info", "m", None, Jsonb(bad)),
        lambda: call(tx, "set_workflow_state", "a", "b", "running", Jsonb(bad)),
    ):
        with pytest.raises(errors.NotAnObject):
            attempt()


@pytest.mark.parametrize(
    "bad", [{"a": [1]}, {"a": {}}, {"a": None}, {"a": "x" * 201}, {"A": 1}, {"": 1}]
)
def test_a_tag_is_a_lower_case_name_with_a_short_plain_value(tx, bad):
    with pytest.raises(errors.TagMalformed):
        call(tx, "record_metric", "a", 1, bad)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    tags=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_.]{0,9}", fullmatch=True),
        st.one_of(
            st.booleans(),
            st.integers(-(2**40), 2**40),
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
        ),
        max_size=5,
    ),
)
def test_whatever_number_and_tags_come_back_as_they_were(tx, value, tags):
    kept = row_of(tx, "metrics", metric_id=queries.record_metric(tx, "a.b", value, tags=tags))
    assert (kept["value"], kept["tags"]) == (value, tags)


def test_a_trace_is_recorded_whole(tx):
    parent = call(tx, "start_trace", "run", p_correlation_id=HEX)
    end = NOON + timedelta(seconds=2)
    trace = queries.record_trace(
        tx,
        "run.part",
        NOON,
        end,
        status="failed",
        metadata={"a": [1]},
        parent_id=parent,
        correlation_id=HEX,
    )
    assert row_of(tx, "traces", trace_id=trace) == {
        "trace_id": trace,
        "correlation_id": HEX,
        "parent_id": parent,
        "operation": "run.part",
        "start_time": NOON,
        "end_time": end,
        "status": "failed",
        "metadata": {"a": [1]},
    }


@pytest.mark.parametrize(
    ("start", "end"), [(NOON, NOON - timedelta(microseconds=1)), (None, NOON), (NOON, None)]
)
def test_a_trace_that_is_over_ends_after_its_start(tx, start, end):
    with pytest.raises(errors.EndsBeforeStart):
        call(tx, "record_trace", "a", start, end)


@pytest.mark.parametrize("bad", [None, "", "running", "ok", "Done"])
def test_what_is_over_has_a_status_of_what_is_over(tx, bad):
    with pytest.raises(errors.WordUnknown, match="done, partial, failed, abandoned"):
        call(tx, "record_trace", "a", NOON, NOON, bad)
    with pytest.raises(errors.WordUnknown):
        call(tx, "end_trace", call(tx, "start_trace", "a"), bad)


def test_a_trace_begins_running_and_ends_once(tx):
    trace = call(tx, "start_trace", "a", {"x": 1})
    begun = row_of(tx, "traces", trace_id=trace)
    assert (begun["status"], begun["end_time"], begun["metadata"]) == ("running", None, {"x": 1})
    call(tx, "end_trace", trace, "failed", {"y": 2})
    ended = row_of(tx, "traces", trace_id=trace)
    assert (ended["status"], ended["metadata"]) == ("failed", {"x": 1, "y": 2})
    assert ended["end_time"] >= ended["start_time"] == begun["start_time"]
    with pytest.raises(errors.TraceEnded) as caught:
        call(tx, "end_trace", trace)
    assert "It is failed since" in caught.value.detail


def test_a_clock_that_was_set_back_makes_the_end_the_start(tx):
    trace = call(tx, "start_trace", "a")
    call(tx, "end_trace", trace, p_end_time=NOON - timedelta(days=9000))
    ended = row_of(tx, "traces", trace_id=trace)
    assert ended["end_time"] == ended["start_time"]


@pytest.mark.parametrize("unknown", [None, uuid4()])
def test_a_trace_that_never_began_cannot_end(tx, unknown):
    with pytest.raises(errors.UnknownTrace):
        call(tx, "end_trace", unknown)


def test_a_parent_must_be_there_and_of_the_same_correlation_id(tx):
    parent = call(tx, "start_trace", "a", p_correlation_id=HEX)
    for unknown, correlation in ((uuid4(), HEX), (parent, "f" * 32)):
        named = {"p_parent_id": unknown, "p_correlation_id": correlation}
        with pytest.raises(errors.ParentMissing, match=f"no trace {unknown}"):
            call(tx, "record_trace", "b", NOON, NOON, **named)
        with pytest.raises(errors.ParentMissing):
            call(tx, "start_trace", "b", **named)


def test_an_alert_without_a_problem_is_an_event_each_time(tx):
    first, second = (queries.record_alert(tx, "a.b", "info", "m") for _ in range(2))
    assert first != second
    kept = row_of(tx, "alerts", alert_id=first)
    assert (kept["occurrences"], kept["problem"], kept["resolved_at"]) == (1, None, None)
    assert kept["created_at"] <= kept["last_raised_at"]


def test_a_problem_that_goes_on_is_one_alert_until_it_is_resolved(tx):
    first = queries.record_alert(
        tx, "a", "warning", "m", problem="p", metadata={"n": 1}, correlation_id=HEX
    )
    begun = row_of(tx, "alerts", alert_id=first)
    again = queries.record_alert(
        tx, "a", "critical", "worse", problem="p", metadata={"n": 2}, correlation_id="f" * 32
    )
    assert again == first
    kept = row_of(tx, "alerts", alert_id=first)
    assert (kept["severity"], kept["message"], kept["occurrences"]) == ("critical", "worse", 2)
    assert (kept["metadata"], kept["correlation_id"]) == ({"n": 2}, "f" * 32)
    assert kept["created_at"] == begun["created_at"] <= kept["last_raised_at"]
    assert [each.problem for each in queries.open_problems(tx)] == ["p"]
    assert call(tx, "resolve_alert", "p") is True
    assert call(tx, "resolve_alert", "p") is False
    assert queries.open_problems(tx) == []
    assert queries.record_alert(tx, "a", "warning", "m", problem="p") != first


def test_the_worst_problem_comes_first(tx):
    for severity in ("info", "critical", "warning"):
        queries.record_alert(tx, "a", severity, "m", problem=severity)
    queries.record_alert(tx, "a", "critical", "an event")
    found = [each.severity for each in queries.open_problems(tx)]
    assert found == ["critical", "warning", "info"]


@pytest.mark.parametrize("bad", [None, "", "CRITICAL", "error"])
def test_a_severity_is_one_of_three(tx, bad):
    with pytest.raises(errors.WordUnknown, match="info, warning, critical"):
        call(tx, "record_alert", "a", bad, "m")


@pytest.mark.parametrize(("message", "problem"), [(None, None), ("", None), ("m", "")])
def test_an_alert_says_what_happened(tx, message, problem):
    with pytest.raises(errors.AlertSaysNothing):
        call(tx, "record_alert", "a", "info", message, problem)


def test_a_workflow_moves_through_its_phases_and_stays_where_it_ended(tx):
    flow = queries.set_workflow_state(tx, "nightly", "features", metadata={"a": 1})
    begun = row_of(tx, "workflow_state", workflow_id=flow)
    moved = queries.set_workflow_state(
        tx, "nightly", "finished", status="partial", metadata={"b": 2}, workflow_id=flow
    )
    assert moved == flow
    kept = row_of(tx, "workflow_state", workflow_id=flow)
    assert (kept["phase"], kept["status"]) == ("finished", "partial")
    assert kept["metadata"] == {"a": 1, "b": 2}
    assert kept["created_at"] == begun["created_at"] <= kept["updated_at"]
    assert kept["correlation_id"] == begun["correlation_id"]
    with pytest.raises(errors.WorkflowEnded) as caught:
        queries.set_workflow_state(tx, "nightly", "features", workflow_id=flow)
    assert "It is partial since" in caught.value.detail


def test_a_workflow_of_another_type_or_none_at_all_cannot_be_moved(tx):
    flow = queries.set_workflow_state(tx, "nightly", "features")
    for kind, unknown in (("weekly", flow), ("nightly", uuid4())):
        with (
            pytest.raises(errors.UnknownWorkflow, match=f"no workflow {unknown} of type {kind}"),
            tx.transaction(),
        ):
            queries.set_workflow_state(tx, kind, "signals", workflow_id=unknown)


def test_workflow_state_has_the_eight_columns(tx):
    columns = tx.execute("select * from observability.workflow_state").description
    names = "workflow_id correlation_id type phase status created_at updated_at metadata"
    assert " ".join(column.name for column in columns) == names


def test_what_is_recorded_in_a_transaction_that_rolls_back_was_never_recorded(own_db, autocommit):
    conn = autocommit(own_db)
    with conn.transaction(force_rollback=True):
        queries.record_metric(conn, "a", 1)
    assert counts(conn) == [0, 0, 0, 0]


def test_metrics_lie_in_chunks_of_a_month(tx):
    for days in (0, 1, 40, 80):
        call(tx, "record_metric", "a", 1, None, NOON + timedelta(days=days))
    chunks = tx.execute("select count(*) from public.show_chunks('observability.metrics')")
    assert chunks.fetchone() == (3,)
    assert tx.execute(
        """
        select d.time_interval = interval '1 month'
        from timescaledb_information.dimensions as d
        where d.hypertable_schema = 'observability' and d.hypertable_name = 'metrics'
        """
    ).fetchone() == (True,)


def test_every_error_says_what_to_do(tx):
    for attempt in (
        lambda: call(tx, "correlation_id", "x"),
        lambda: call(tx, "record_metric", "A", 1),
        lambda: call(tx, "record_metric", "a", None),
        lambda: call(tx, "record_metric", "a", 1, Jsonb([1])),
        lambda: call(tx, "record_metric", "a", 1, {"A": 1}),
        lambda: call(tx, "record_trace", "a", None, None),
        lambda: call(tx, "record_alert", "a", "x", "m"),
        lambda: call(tx, "record_alert", "a", "info", ""),
        lambda: call(tx, "end_trace", None),
        lambda: call(tx, "prune", None),
    ):
        with pytest.raises(DatabaseRaised) as caught:
            attempt()
        assert re.search(r"[.}]$", caught.value.hint)
        assert not caught.value.what.endswith(".")
