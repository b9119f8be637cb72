"""The command line as a whole: what it lists, and what it says of a database that isn't there."""

from __future__ import annotations

import os
import sys

import psycopg
import pytest
from rich.text import Text
from typer.main import get_command

import ta_lab2
from ta_lab2 import __main__, cli


def commands(command, *words):
    """Yield every command with what one types for it."""
    yield list(words), command
    for name, each in getattr(command, "commands", {}).items():
        if name != "default":
            yield from commands(each, *words, name)


EVERY = {" ".join(words): command for words, command in commands(get_command(cli.app))}


@pytest.mark.parametrize("words", EVERY)
def test_help_names_what_is_typed_and_no_type_of_python(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.run([*words.split(), "--help"]) == 0
    told = capsys.readouterr().out
    for kind in ("<bool>", "<str>", "<int", "<float", "<list"):
        assert kind not in told
    # What stands in square brackets is taken for markup and would be missing.
    shown = " ".join(told.replace("│", " ").split())
    for each in EVERY[words].params:
        if told_of := getattr(each, "help", None):
            assert Text.from_markup(told_of).plain == told_of, "it would lose what is in brackets"
            assert told_of in shown or len(told_of) > 120


def test_commands_are_listed_in_the_order_in_which_one_needs_them():
    group = get_command(cli.app)
    listed = group.list_commands(None)
    assert listed[:4] == ["demo", "db", "ingest", "assets"]
    assert set(listed) == set(group.commands)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ('FATAL:  password authentication failed for user "me"', "its password is wrong"),
        ('FATAL:  database "x" does not exist', "TA_LAB2_DATABASE names the one to ask"),
        ("Connection refused", "`ta-lab2 db up` starts ours"),
    ],
)
def test_a_connection_that_fails_is_told_with_what_mends_it(monkeypatch, capsys, said, hint):
    def fail(*_, **__):
        raise psycopg.OperationalError(said)

    monkeypatch.setenv("TA_LAB2_DATABASE_URL", "postgresql://me@127.0.0.1:1/x")
    monkeypatch.setattr(psycopg, "connect", fail)
    assert cli.run(["today"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert said.split(":")[-1].strip() in told
    assert hint in told


def test_ctrl_c_while_the_command_is_read_in_is_one_sentence(monkeypatch, capsys):
    class Pressed:
        @staticmethod
        def find_spec(name, *_):
            if name == "ta_lab2.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "ta_lab2.cli")
    monkeypatch.delattr(ta_lab2, "cli")
    monkeypatch.setattr(sys, "meta_path", [Pressed, *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted before anything was done\n"


def test_a_command_leaves_the_environment_as_it_was(monkeypatch, capsys):
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", "postgresql://me@127.0.0.1:1/x")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.delenv("PGDATESTYLE", raising=False)
    before = dict(os.environ)
    assert cli.run(["today"]) == 2
    assert dict(os.environ) == before
