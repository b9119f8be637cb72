"""``ta-lab2 db doctor`` as it is typed: what it prints, how it exits, what it can't examine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import typer

from ta_lab2.cli.doctor import doctor
from ta_lab2.errors import Refused, TaLabError
from tests.support.private_server import PASSWORD, PrivateServer

command = typer.Typer()
command.command()(doctor)


def run(*arguments: str) -> int:
    """Return the exit status; what could not be examined raises."""
    status = command(args=list(arguments), standalone_mode=False)
    return status if isinstance(status, int) else 0


@contextmanager
def port_that_says(greeting: bytes | None) -> Iterator[int]:
    """Listen, answer whoever connects with some bytes or with silence, and hang up at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def answer() -> None:
            while not stop.is_set():
                client, _ = listener.accept()
                with client:
                    if stop.is_set():
                        return
                    client.recv(8)
                    if greeting is None:
                        stop.wait(20)
                    else:
                        client.sendall(greeting)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


@pytest.fixture
def database(doctor_server: PrivateServer) -> Iterator[str]:
    doctor_server.run('create database "a bare one"')
    yield "a bare one"
    doctor_server.run('drop database "a bare one" with (force)')


def test_findings_are_printed_with_lines_to_copy_and_the_exit_status_is_2(
    doctor_server: PrivateServer, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(doctor_server.url("a%20bare%20one")) == 2
    printed = capsys.readouterr().out
    assert "\n          create extension vector\n" in printed
    assert "\x1b" not in printed
    assert PASSWORD not in printed
    line = next(line for line in printed.splitlines() if "cron-database" in line)
    assert line.endswith("unless you move pg_cron here"), "a long line was wrapped"


def test_json_has_every_finding_with_its_line(
    doctor_server: PrivateServer, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--json", doctor_server.url("a%20bare%20one")) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["database"].endswith("/a bare one")
    (vector,) = [found for found in said["findings"] if "extension vector" in found["what"]]
    assert (vector["severity"], vector["code"]) == ("error", "extension-missing")
    assert vector["mend"] == {
        "line": "create extension vector",
        "kind": "sql",
        "who": "a superuser",
        "needs": "",
    }


def test_the_password_may_come_from_the_environment(
    doctor_server: PrivateServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert run(f"postgresql://postgres@127.0.0.1:{doctor_server.port}/a%20bare%20one") == 2


@pytest.mark.parametrize(
    ("url", "reason", "advice"),
    [
        ("postgresql://postgres:wrong@127.0.0.1:{port}/postgres", "password", "PGPASSWORD"),
        ("postgresql://postgres@127.0.0.1:{port}/postgres", "no password", "PGPASSWORD"),
        ("postgresql://postgres:{password}@127.0.0.1:{port}/nowhere", "nowhere", "create database"),
        ("postgresql://postgres@127.0.0.1:1/postgres", "refused", "Start the server"),
        ("postgresql://postgres@host.invalid/postgres", "host.invalid", "host's name"),
        ("host=/nowhere", "/nowhere", "Start the server"),
    ],
)
def test_what_gives_no_connection_is_one_sentence_and_exit_1(
    doctor_server: PrivateServer,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    reason: str,
    advice: str,
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    secret = PASSWORD.replace(" ", "%20")
    with pytest.raises(TaLabError) as caught:
        run(url.format(port=doctor_server.port, password=secret))
    assert caught.value.exit_code == 1
    assert reason in caught.value.what
    assert advice in caught.value.hint
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("greeting", "advice"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "else than PostgreSQL"),
        (b"", "that port"),
        (None, "Nothing answers there"),
    ],
)
def test_what_is_no_postgresql_is_said(greeting: bytes | None, advice: str) -> None:
    with port_that_says(greeting) as port, pytest.raises(TaLabError) as caught:
        run(f"postgresql://postgres@127.0.0.1:{port}/postgres?connect_timeout=2")
    assert caught.value.exit_code == 1
    assert advice in caught.value.hint, caught.value.what


@pytest.mark.parametrize(
    "url", ["postgres//me:geheim@here", "http://127.0.0.1", "postgresql://h:port/x", "nonsense"]
)
def test_a_url_that_is_none_is_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(Refused) as caught:
        run(url)
    assert "geheim" not in f"{caught.value.what} {caught.value.hint}"


def test_without_a_url_and_without_a_database_the_way_on_is_named(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ta_lab2 import settings

    monkeypatch.setenv("TA_LAB2_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    monkeypatch.delenv("TA_LAB2_DATABASE_URL", raising=False)
    monkeypatch.delenv("TA_LAB2_ADMIN_URL", raising=False)
    settings.settings.cache_clear()
    try:
        with pytest.raises(Refused, match="no database yet"):
            run()
    finally:
        settings.settings.cache_clear()
