"""The routine lane's files: their headers, their order, their digests."""

from __future__ import annotations

import pytest

from ta_lab2.db.routines import ordered, parse
from ta_lab2.errors import TaLabError


def names(files):
    return [file.path for file in files]


def test_a_header_names_what_must_come_before():
    file = parse(
        "a.sql", "-- s.a(): it.\n--\n-- requires: b.sql, c.sql\n-- needs: vector\nselect 1;"
    )
    assert file.requires == ("b.sql", "c.sql")
    assert file.needs == ("vector",)


def test_a_directive_below_the_header_is_only_a_comment():
    assert parse("a.sql", "-- s.a(): it.\nselect 1;\n-- requires: b.sql\n").requires == ()


def test_line_ends_do_not_count():
    assert parse("a.sql", "select 1;\r\n").sha256 == parse("a.sql", "select 1;\n").sha256


def test_a_changed_word_does():
    assert parse("a.sql", "select 1;").sha256 != parse("a.sql", "select 2;").sha256


def test_what_is_required_comes_first_and_the_rest_by_path():
    files = [
        parse("a.sql", "-- requires: z.sql\n"),
        parse("m.sql", ""),
        parse("z.sql", "-- requires: m.sql\n"),
    ]
    assert names(ordered(files)) == ["m.sql", "z.sql", "a.sql"]


def test_a_requirement_that_does_not_exist_names_both_files():
    with pytest.raises(TaLabError, match=r"sql/a\.sql requires nowhere\.sql"):
        ordered([parse("a.sql", "-- requires: nowhere.sql\n")])


def test_a_circle_is_named():
    circle = [parse("a.sql", "-- requires: b.sql\n"), parse("b.sql", "-- requires: a.sql\n")]
    with pytest.raises(TaLabError, match="circle: "):
        ordered(circle)


def test_a_file_knows_what_it_makes():
    text = "create or replace function s._part(x int)\n\ncreate procedure public.verb()\n"
    made = parse("a.sql", text).creates
    assert made == (("function", "s._part"), ("procedure", "public.verb"))
