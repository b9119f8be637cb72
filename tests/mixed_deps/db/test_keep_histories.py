"""What a ``dim_`` table held is kept, whoever writes it and however."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from ta_lab2.db import migrate

SOURCES = """
    select v.key ->> 'source' as source, v.content ->> 'description' as description,
        v.valid_from, v.valid_to, v.changed_by
    from db.row_versions as v
    where v.table_name = 'dim_sources' and v.key ->> 'source' like 'test%'
    order by v.valid_from, source
"""


def versions(conn: psycopg.Connection) -> list[dict]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SOURCES).fetchall()


def add(conn: psycopg.Connection, source: str = "test", description: str = "one") -> None:
    conn.execute(
        "insert into bars.dim_sources (source, volume_unit, description) values (%s, 'base', %s)",
        (source, description),
    )


def describe(conn: psycopg.Connection, description: str, source: str = "test") -> None:
    conn.execute(
        "update bars.dim_sources set description = %s where source = %s", (description, source)
    )


def now(conn: psycopg.Connection) -> datetime:
    return conn.execute("select now()").fetchone()[0]


@pytest.fixture
def mine(own_db, autocommit):
    """A connection to a database of the test's own, a transaction a statement."""
    return autocommit(own_db)


def test_every_seeded_row_has_a_version_that_stands(tx: psycopg.Connection) -> None:
    for schema, table in tx.execute(
        "select c.schema_name, c.table_name from ta_meta.table_class as c"
        " where c.history_from is not null"
    ).fetchall():
        differ = tx.execute(
            f"""
            (select to_jsonb(t) from {schema}.{table} as t
             except
             select v.content from db.row_versions as v
             where v.schema_name = %(schema)s and v.table_name = %(table)s and v.valid_to is null)
            union all
            (select v.content from db.row_versions as v
             where v.schema_name = %(schema)s and v.table_name = %(table)s and v.valid_to is null
             except
             select to_jsonb(t) from {schema}.{table} as t)
            """,
            {"schema": schema, "table": table},
        ).fetchall()
        assert differ == [], table


def test_an_insert_an_update_and_a_delete_follow_each_other_without_a_gap(mine) -> None:
    add(mine)
    describe(mine, "two")
    mine.execute("delete from bars.dim_sources where source = 'test'")
    one, two = versions(mine)
    assert (one["description"], two["description"]) == ("one", "two")
    assert one["valid_from"] < one["valid_to"] == two["valid_from"] < two["valid_to"]


def test_a_deleted_row_that_comes_again_has_a_gap(mine) -> None:
    add(mine)
    mine.execute("delete from bars.dim_sources where source = 'test'")
    add(mine, description="again")
    one, again = versions(mine)
    assert one["valid_to"] < again["valid_from"]
    assert again["valid_to"] is None


def test_an_update_that_changes_nothing_makes_no_version(mine) -> None:
    add(mine)
    describe(mine, "one")
    assert len(versions(mine)) == 1


def test_a_transaction_leaves_one_version_of_a_row_that_it_writes_often(mine) -> None:
    add(mine)
    with mine.transaction():
        moment = now(mine)
        for word in ("two", "three"):
            describe(mine, word)
        with mine.transaction():
            describe(mine, "four")
    one, four = versions(mine)
    assert (four["description"], four["valid_from"]) == ("four", moment)
    assert one["valid_to"] == moment


def test_a_row_that_a_transaction_made_and_deleted_was_never_there(mine) -> None:
    with mine.transaction():
        add(mine)
        describe(mine, "two")
        mine.execute("delete from bars.dim_sources where source = 'test'")
    assert versions(mine) == []


def test_a_rolled_back_change_leaves_nothing(mine) -> None:
    add(mine)
    with pytest.raises(ZeroDivisionError), mine.transaction():
        describe(mine, "two")
        raise ZeroDivisionError
    assert [v["valid_to"] for v in versions(mine)] == [None]


def test_a_new_key_ends_the_old_row_and_begins_another(mine) -> None:
    add(mine)
    mine.execute("update bars.dim_sources set source = 'test2' where source = 'test'")
    old, new = versions(mine)
    assert (old["source"], new["source"]) == ("test", "test2")
    assert old["valid_to"] == new["valid_from"]


def test_keys_that_change_places_in_one_statement_keep_their_own_versions(mine) -> None:
    mine.execute("create table bars.dim_swap (id integer primary key, word text)")
    mine.execute(
        "insert into ta_meta.table_class (schema_name, table_name, class)"
        " values ('bars', 'dim_swap', 'dim')"
    )
    mine.execute("insert into bars.dim_swap values (1, 'one'), (2, 'two')")
    assert mine.execute("select db.keep_histories()").fetchone() == (1,)
    mine.execute("alter table bars.dim_swap drop constraint dim_swap_pkey")
    mine.execute("alter table bars.dim_swap add primary key (id) deferrable")
    mine.execute("update bars.dim_swap set id = 3 - id")
    assert mine.execute(
        "select s.id, s.word from db.as_it_stood(null::bars.dim_swap, now()) as s order by 1"
    ).fetchall() == [(1, "two"), (2, "one")]


def test_a_truncate_ends_every_version(mine) -> None:
    mine.execute("truncate features.dim_ema_periods")
    assert mine.execute(
        "select count(*), count(*) filter (where v.valid_to is null) from db.row_versions as v"
        " where v.table_name = 'dim_ema_periods'"
    ).fetchone() == (17, 0)


def test_an_upsert_keeps_both_the_new_and_the_changed_row(mine) -> None:
    add(mine)
    mine.execute(
        """
        insert into bars.dim_sources as s (source, volume_unit, description)
        values ('test', 'base', 'changed'), ('test2', 'base', 'new')
        on conflict (source) do update set description = excluded.description
        """
    )
    assert [v["description"] for v in versions(mine) if v["valid_to"] is None] == ["changed", "new"]


def test_of_two_transactions_on_one_row_the_later_writer_has_the_later_version(
    own_db, autocommit
) -> None:
    early, late = autocommit(own_db), autocommit(own_db)
    add(early)
    with early.transaction():
        began = now(early)
        describe(late, "late")
        describe(early, "early")
    one, second, third = versions(early)
    assert [v["description"] for v in (one, second, third)] == ["one", "late", "early"]
    assert one["valid_to"] == second["valid_from"] < second["valid_to"] == third["valid_from"]
    assert began < third["valid_from"]


def test_writers_at_once_never_leave_two_versions_of_a_moment(own_db) -> None:
    with psycopg.connect(own_db, autocommit=True) as conn:
        add(conn)

    def write(number: int) -> None:
        with psycopg.connect(own_db, autocommit=True) as conn:
            for turn in range(20):
                describe(conn, f"{number} {turn}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with psycopg.connect(own_db) as conn:
        found = versions(conn)
        standing = conn.execute("select description from bars.dim_sources where source = 'test'")
        assert found[-1]["description"] == standing.fetchone()[0]
    assert len(found) == 81
    for one, other in pairwise(found):
        assert one["valid_to"] == other["valid_from"]


def test_the_app_writes_history_by_writing_the_table_and_no_other_way(mine) -> None:
    mine.execute("set role ta_lab2_app")
    add(mine)
    assert len(versions(mine)) == 1
    for forbidden in (
        "delete from db.row_versions",
        "insert into db.row_versions select * from db.row_versions limit 1",
        "select db._replace_versions('bars.dim_sources', null, null)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            mine.execute(forbidden)


def test_a_migration_makes_a_version_of_what_came_without_triggers(mine, own_db) -> None:
    add(mine)
    mine.execute("alter table bars.dim_sources add column tier integer")
    migrate.migrate(own_db, say=lambda _: None, ours=True)
    assert len(versions(mine)) == 1, "a column of nulls changes nothing"
    mine.execute("alter table bars.dim_sources drop column tier")
    mine.execute("alter table bars.dim_sources add column tier integer default 3")
    migrate.migrate(own_db, say=lambda _: None, ours=True)
    before, after = versions(mine)
    assert before["valid_to"] == after["valid_from"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_versions_do_not_depend_on_the_writers_time_zone(mine, own_db, zone) -> None:
    mine.execute("create table bars.dim_moments (id integer primary key, at timestamptz)")
    mine.execute(
        "insert into ta_meta.table_class (schema_name, table_name, class)"
        " values ('bars', 'dim_moments', 'dim')"
    )
    mine.execute("select db.keep_histories()")
    moment = datetime(2026, 1, 1, 5, tzinfo=UTC)
    mine.execute("select set_config('timezone', %s, false)", (zone,))
    mine.execute("insert into bars.dim_moments values (1, %s)", (moment,))
    mine.execute("set timezone = 'America/New_York'")
    mine.execute("select db.keep_histories()")
    assert mine.execute(
        "select count(*) from db.row_versions as v where v.table_name = 'dim_moments'"
    ).fetchone() == (1,)
    assert mine.execute(
        "select s.at from db.as_it_stood(null::bars.dim_moments, now()) as s"
    ).fetchone() == (moment,)


ACTION = st.tuples(
    st.sampled_from(["put", "delete"]), st.sampled_from(["test1", "test2"]), st.integers(0, 2)
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(transactions=st.lists(st.lists(ACTION, max_size=3), max_size=6))
def test_every_moment_reads_as_the_table_was(own_db, transactions) -> None:
    with psycopg.connect(own_db, autocommit=True) as conn:
        conn.execute("delete from bars.dim_sources where source like 'test%'")
        seen = []
        for actions in transactions:
            with conn.transaction():
                for what, source, word in actions:
                    if what == "put":
                        conn.execute(
                            """
                            insert into bars.dim_sources as s (source, volume_unit, description)
                            values (%s, 'base', %s)
                            on conflict (source) do update set description = excluded.description
                            """,
                            (source, str(word)),
                        )
                    else:
                        conn.execute("delete from bars.dim_sources where source = %s", (source,))
            table = conn.execute(
                "select now(), array(select s from bars.dim_sources as s order by s.source)::text"
            ).fetchone()
            seen.append(table)
        for moment, table in seen:
            stood = conn.execute(
                "select array(select s from db.as_it_stood(null::bars.dim_sources, %s) as s"
                " order by s.source)::text",
                (moment,),
            ).fetchone()
            assert stood == (table,)
