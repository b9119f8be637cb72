"""What an examination finds, and the line that mends it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
Kind = Literal["sql", "conf", "environment", "shell"]
Needs = Literal["", "reload", "restart", "stopped"]

SEVERITIES: dict[str, Severity] = {
    "server-version": "error",
    "extension-unloadable": "error",
    "standby": "error",
    "encoding": "error",
    "extension-unavailable": "error",
    "plpython-unavailable": "error",
    "preload": "error",
    "cron-database": "info",
    "cron-template": "error",
    "cron-background-workers": "warning",
    "worker-processes": "warning",
    "checksums": "warning",
    "jit": "warning",
    "timezone": "error",
    "extension-missing": "error",
    "extension-outdated": "warning",
    "extension-newer": "error",
    "citus": "error",
    "edition": "info",
    "telemetry": "warning",
    "role-missing": "error",
    "role-attributes": "error",
    "role-reach": "error",
    "research-membership": "error",
    "login": "error",
    "migration-pending": "error",
    "migration-unknown": "error",
    "rollups": "error",
    "schema-owner": "error",
    "schema-usage": "error",
    "cron-usage": "error",
    "owner-create": "error",
    "search-path": "warning",
    "public-execute": "warning",
    "routine-public": "warning",
    "public-temporary": "warning",
    "plpython-fails": "error",
    "python-version": "error",
    "python-package": "error",
    "numpy-arithmetic": "error",
    "numpy-avx512": "warning",
    "environment-leak": "warning",
    "not-examined": "info",
}
"""Every code and its severity, in the order in which the findings are to be mended."""

_ORDER = {code: place for place, code in enumerate(SEVERITIES)}

SUPERUSER = "a superuser"
SYSTEM = "root on the server's machine"
STARTER = "whoever starts the server"


@dataclass(frozen=True, slots=True)
class Mend:
    """One line that mends a finding.

    Args:
        line: the line itself, to be executed as it stands.
        kind: where it goes: SQL in this database, ``postgresql.conf``, the server's
            environment, or a shell.
        who: who must do it.
        needs: what must happen afterwards (reload, restart), or before (stopped).
    """

    line: str
    kind: Kind
    who: str
    needs: Needs = ""

    def place(self) -> str:
        """Return in words where the line goes, who must do it, and what it needs."""
        where = {
            "sql": "SQL in this database",
            "conf": "postgresql.conf",
            "environment": "the server's environment (Debian: /etc/postgresql/17/main/environment)",
            "shell": "shell",
        }[self.kind]
        needs = {
            "": "",
            "reload": "; then `select pg_reload_conf()`",
            "restart": "; then restart the server",
            "stopped": "; while the server is stopped",
        }[self.needs]
        return f"{where}, by {self.who}{needs}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as ta_lab2 needs it.

    Args:
        code: stable name of the kind of finding, a key of ``SEVERITIES``.
        what: what is wrong, where, and the value found; one sentence.
        mend: the line that mends it, None where there is nothing to mend.
    """

    code: str
    what: str
    mend: Mend | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is: an error stops ta_lab2 or makes it unsafe, a warning costs something."""
        return SEVERITIES[self.code]


def in_order(findings: list[Finding]) -> list[Finding]:
    """Return the findings in the order in which their lines work one after another."""
    return sorted(findings, key=lambda finding: _ORDER[finding.code])


def identifier(name: str) -> str:
    """Return an SQL identifier, quoted unless it is one of our own plain names."""
    if re.fullmatch(r"ta_lab2[a-z0-9_]*", name):
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's value, and where the server has it from."""

    value: str
    source: str


def server_setting(
    name: str,
    values: Sequence[str],
    *,
    needs: Needs,
    now: Setting | None = None,
    by_conf: bool = False,
) -> Mend:
    """Return the line that sets something for the whole server.

    ``alter system`` is overridden by the command line and can be forbidden; then the line
    is one for the file, or for whoever wrote the command line.
    """
    if by_conf or (now is not None and now.source == "command line"):
        joined = ",".join(values).replace("'", "''")
        who = SYSTEM if by_conf else f"{STARTER}, in its command line, which overrides the file"
        return Mend(f"{name} = '{joined}'", "conf", who, needs)
    # A list is several literals: one literal with a comma in it would be one odd file name.
    listed = ", ".join(literal(value) for value in values)
    return Mend(f"alter system set {name} = {listed}", "sql", SUPERUSER, needs)
