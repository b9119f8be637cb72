"""``ta-lab2 db doctor``: what a database lacks, and the line that mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.text import Text

from ta_lab2 import paths
from ta_lab2.cli import console
from ta_lab2.db.doctor import Expected, Finding, Severity, examine
from ta_lab2.db.runtime import Yours, choose
from ta_lab2.db.runtime.project import Project
from ta_lab2.errors import Refused, TaLabError
from ta_lab2.settings import settings

_COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}
# What libpq says, and what to do about it.
_ADVICE = (
    ("password authentication failed", "Put the right password into PGPASSWORD or ~/.pgpass."),
    ("no password supplied", "Put the password into PGPASSWORD or ~/.pgpass."),
    ("no pg_hba.conf entry", "The server's pg_hba.conf must let this login in from here."),
    ("does not exist", "Make it with `create database` or `create role`, or mend the URL."),
    ("invalid response", "Something else than PostgreSQL answers on that port; mend the URL."),
    ("closed the connection", "If that port is PostgreSQL's, its log says why."),
    ("refused", "Start the server, or mend host and port in the URL."),
    ("No such file", "Start the server, or mend host and port in the URL."),
    ("resolve host", "Mend the host's name in the URL."),
    ("timeout", "Nothing answers there; mend host and port in the URL."),
)


def doctor(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="The database: postgresql://user@host:port/name. Without it: this project's. "
            "The password comes from PGPASSWORD or ~/.pgpass.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what a PostgreSQL lacks, each with the line that mends it.

    Changes nothing. Exit status: 0 nothing is in the way, 2 something must be mended,
    1 the database could not be examined.
    """
    conninfo, ours = (url, False) if url else _project()
    with _connect(conninfo) as conn:
        findings = examine(conn, expected=Expected(revisions=_revisions(), ours=ours))
        where = f"{conn.info.user}@{conn.info.host}:{conn.info.port}/{conn.info.dbname}"
    if as_json:
        typer.echo(json.dumps({"database": where, "findings": [_plain(f) for f in findings]}))
    else:
        _show(where, findings)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(2)


def _project() -> tuple[str, bool]:
    """Return the conninfo of this project's database as its superuser, and whether it is ours."""
    server = choose(settings(), Project.of(settings()))
    return server.endpoint("admin").conninfo(), not isinstance(server, Yours)


def _connect(conninfo: str) -> psycopg.Connection[Any]:
    """Return a connection, or say in one sentence why there is none, without the password."""
    given = _parts(conninfo)
    conninfo = make_conninfo(
        conninfo,
        connect_timeout=given.get("connect_timeout") or 10,
        application_name="ta-lab2 doctor",
    )
    try:
        return psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        lines = [line.strip(" -") for line in str(error).strip().splitlines()]
        reason = next((line for line in lines if "failed: " in line), lines[0] if lines else "")
        advice = next((advice for sign, advice in _ADVICE if sign in str(error)), "")
        named = given.get("host") or given.get("hostaddr")
        where = f"{named}, port {given.get('port') or 5432}," if named else "the database"
        raise TaLabError(
            f"{where} can't be examined: {reason.rpartition('failed: ')[2]}", advice
        ) from None


def _parts(conninfo: str) -> dict[str, Any]:
    """Return the parts of a URL or conninfo string; refuse what is neither."""
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        # libpq repeats what it could not read, and that may hold a password.
        given = None
    if given is None or not str(given.get("port") or "5432").replace(",", "").isdigit():
        raise Refused(
            "the URL can't be read", "It must look like postgresql://user@host:5432/database."
        )
    return given


def _revisions() -> tuple[str, ...]:
    """Return the migrations that this installation has, the newest first."""
    from alembic.script import ScriptDirectory  # slow to import, and only the doctor needs it

    folder = paths.shipped("alembic")
    if not (folder / "versions").is_dir():
        return ()
    return tuple(script.revision for script in ScriptDirectory(str(folder)).walk_revisions())


def _plain(finding: Finding) -> dict[str, Any]:
    mend = asdict(finding.mend) if finding.mend else None
    return {"severity": finding.severity, "code": finding.code, "what": finding.what, "mend": mend}


def _show(where: str, findings: list[Finding]) -> None:
    for finding in findings:
        severity = (f"{finding.severity:7} ", _COLOURS[finding.severity])
        console.out.print(Text.assemble(severity, (finding.code, "bold"), f"  {finding.what}"))
        if finding.mend:
            # A line of its own, never wrapped: it is there to be copied.
            console.out.print(Text(f"          {finding.mend.line}", "green"))
            console.out.print(Text(f"          ({finding.mend.place()})", "dim"))
    counts = {
        severity: sum(finding.severity == severity for finding in findings) for severity in _COLOURS
    }
    said = ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)
    console.out.print(f"{where}: {said or 'nothing to mend'}", markup=False)
