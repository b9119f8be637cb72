"""The command against a server that speaks Binance's protocol, and a database of its own."""

from __future__ import annotations

import time

import pytest

from ta_lab2 import cli
from tests.support import binance
from tests.support.fetched import DAYS, back, today


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with binance.serving() as server:
        server.trade(back(DAYS), today())
        server.most = 15
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Let no time pass, and return how long each pause would have been."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture(autouse=True)
def database(own_db, means):
    """Let the settings mean this test's database."""
    means(own_db)
    return own_db


@pytest.fixture
def ingest(server, capsys):
    """What runs the command: exit status, standard output, standard error."""

    def run(*words, market="BTC/USDT"):
        capsys.readouterr()
        status = cli.run(["ingest", "ccxt", "binance", market, "--url", server.url, *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err

    return run
