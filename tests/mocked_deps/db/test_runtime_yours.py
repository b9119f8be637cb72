"""A server of the user's own, from its URL and from libpq's environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ta_lab2.db.runtime.yours import Yours
from ta_lab2.errors import Refused
from ta_lab2.settings import Settings


def _yours(url: str, admin: str | None = None) -> Yours:
    return Yours(Settings(_env_file=None, database_url=url, admin_url=admin))


def test_a_url_gives_its_parts_and_hides_its_password() -> None:
    endpoint = _yours("postgresql://me:s%40cret@db.example:5433/theirs?sslmode=require").endpoint(
        "app"
    )
    assert (endpoint.host, endpoint.port, endpoint.user, endpoint.dbname) == (
        "db.example",
        5433,
        "me",
        "theirs",
    )
    assert "s%40cret" in endpoint.conninfo()
    assert "sslmode" in endpoint.url()
    assert "cret" not in endpoint.url()
    assert "cret" not in repr(endpoint)


def test_what_the_url_leaves_out_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGUSER", "fromenv")
    monkeypatch.setenv("PGPORT", "6000")
    endpoint = _yours("postgresql://db.example/theirs").endpoint("app")
    assert (endpoint.user, endpoint.port) == ("fromenv", 6000)
    assert endpoint.conninfo() == "postgresql://db.example/theirs"


def test_admin_has_a_url_of_its_own_and_another_database_keeps_the_rest() -> None:
    yours = _yours("postgresql://me@h/theirs", "postgresql://boss:pw@h/theirs")
    assert yours.endpoint("admin").user == "boss"
    assert yours.endpoint("app").user == "me"
    other = yours.endpoint("admin", dbname="other")
    assert other.dbname == "other"
    assert "dbname=other" in other.conninfo()


def test_nonsense_is_refused_by_the_variables_name() -> None:
    with pytest.raises(Refused, match="TA_LAB2_DATABASE_URL is no PostgreSQL URL"):
        _yours("postgresql://h/x?nonsense=1").endpoint("app")


@pytest.mark.parametrize("verb", ["down", "upgrade", "destroy"])
def test_a_foreign_server_is_never_stopped_or_emptied(verb: str) -> None:
    with pytest.raises(Refused, match="your own server") as refused:
        getattr(_yours("postgresql://me:secret@h/x"), verb)(print)
    assert "secret" not in refused.value.what


def test_psql_gets_the_password_in_its_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = tmp_path / "psql"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "psql (PostgreSQL) 15.9" && exit\n'
        f'echo "$@" "$PGPASSWORD" > {tmp_path}/seen\nexit 3\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yours = _yours("postgresql://me:secret@h:1/x")
    assert yours.psql(yours.endpoint("app"), ["-c", "select 1"]) == 3
    seen = (tmp_path / "seen").read_text().strip()
    assert seen.endswith("-c select 1 secret")
    assert seen.count("secret") == 1
    assert "psql is version 15" in capfd.readouterr().err


def test_a_machine_without_psql_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    yours = _yours("postgresql://me@h/x")
    with pytest.raises(Refused, match="no psql") as refused:
        yours.psql(yours.endpoint("app"), [])
    assert "postgresql-client" in refused.value.hint
