"""``ta-lab2 ingest``: which words are files, and which are the subcommand for exchanges."""

from __future__ import annotations

import pytest

from ta_lab2 import cli
from tests.support import prices


def test_a_file_called_ccxt_is_named_by_its_path(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ccxt").touch()
    assert cli.run(["ingest", "ccxt"]) == 2
    assert "EXCHANGE" in capsys.readouterr().err
    assert cli.run(["ingest", "./ccxt"]) == 2
    assert "ccxt is empty" in capsys.readouterr().err
    assert cli.run(["ingest", "--dry-run", "ccxt"]) == 2
    assert "ccxt is empty" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["default", "files", "ccx", "ccxt.csv", "CCXT"])
def test_every_other_word_is_a_file(capsys, word):
    assert cli.run(["ingest", word]) == 2
    assert f"{word}: there is no such file" in capsys.readouterr().err


def test_without_a_word_it_asks_for_files(capsys):
    assert cli.run(["ingest"]) == 2
    assert "no file is named" in capsys.readouterr().err


def test_options_may_stand_before_and_after_files(tmp_path, capsys):
    file = str(prices.daily(tmp_path, "2020-01-01,BTC,1,3,0.5,2,10"))
    assert cli.run(["ingest", "--dry-run", file]) == 0
    assert cli.run(["ingest", file, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("1 bitcoin") == 2


def test_both_have_a_help_of_their_own(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.run(["ingest", "--help"]) == 0
    files = capsys.readouterr().out
    assert "ingest [OPTIONS] [FILE]..." in files
    assert "ta-lab2 ingest ccxt --help" in files
    assert cli.run(["ingest", "ccxt", "--help"]) == 0
    assert "ingest ccxt [OPTIONS]" in capsys.readouterr().out
