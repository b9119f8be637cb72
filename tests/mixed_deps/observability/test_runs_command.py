"""``ta-lab2 runs``: the last runs as a table, and the problems that go on."""

from __future__ import annotations

import pytest

from ta_lab2 import cli
from ta_lab2.observability import queries


@pytest.fixture
def conn(own_db, autocommit, means):
    """A connection to the database that the command looks at."""
    means(own_db)
    return autocommit(own_db)


def run(conn, status, metadata):
    with conn.transaction():
        conn.execute(
            "select observability.end_run(observability.start_run('refresh_features'), %s, %s)",
            (status, metadata),
        )


def test_nothing_has_run_yet(conn, capsys):
    assert cli.run(["runs"]) == 0
    assert "nothing has run yet" in capsys.readouterr().err
    assert cli.run(["runs", "--failed"]) == 0
    assert "no run failed" in capsys.readouterr().err


def test_runs_and_problems_are_shown(conn, capsys):
    run(conn, "done", '{"assets": 1200, "failed": 0, "rows_written": 480000}')
    run(conn, "partial", '{"assets": 3, "failed": 1, "note": "[bold]"}')
    run(conn, "done", '{"assets": "many"}')
    for _ in range(2):
        queries.record_alert(conn, "a", "warning", "asset 3 [failed]: no", problem="p")
    assert cli.run(["runs"]) == 0
    shown = capsys.readouterr().out
    assert [word in shown for word in ("480,000", "1,200", "partial", "many")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert "warning: asset 3 [failed]: no (2 times), since 20" in shown
    assert cli.run(["runs", "--failed"]) == 0
    shown = capsys.readouterr().out
    assert "partial" in shown
    assert "done" not in shown
    assert cli.run(["runs", "--last", "1"]) == 0
    assert "partial" not in capsys.readouterr().out


def test_very_many_problems_are_counted(conn, capsys):
    for number in range(25):
        queries.record_alert(conn, "a", "warning", f"asset {number}", problem=f"p {number}")
    cli.run(["runs"])
    shown = capsys.readouterr().out
    assert shown.count("warning: ") == 20
    assert "and 5 more, see the table alerts" in shown


def test_a_database_that_is_not_migrated_is_named(empty_db, means, capsys):
    means(empty_db)
    assert cli.run(["runs"]) == 2
    assert "ta-lab2 db migrate" in capsys.readouterr().err
