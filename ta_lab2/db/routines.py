"""The routine lane: the files under ``sql/`` become the routines of the database.

A file is applied again whenever its SHA-256 changes, after the files that its header
requires, in the transaction of the revisions. ``ta_meta.routine_file`` says what stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import psycopg

from ta_lab2.db.slices import APP, OWNER, SLICES
from ta_lab2.errors import TaLabError

#: So many files are told by name; of more it is told how far they are.
NAMED: Final = 40

_DIRECTIVE = re.compile(r"^-- (requires|needs): *(.+?) *$")
_CREATES = re.compile(
    r"^create (?:or replace )?(function|procedure|aggregate) (\w+\.\w+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class RoutineFile:
    """One file under ``sql/``: a public routine and its private parts."""

    path: str
    text: str
    requires: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """The digest that decides whether the file is applied again."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def creates(self) -> tuple[tuple[str, str], ...]:
        """The routines that the file makes, as (kind, schema.name)."""
        return tuple(_CREATES.findall(self.text))


def parse(path: str, text: str) -> RoutineFile:
    """Return a routine file from its text; line ends don't count, the header's directives do."""
    text = text.replace("\r\n", "\n")
    found: dict[str, list[str]] = {"requires": [], "needs": []}
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := _DIRECTIVE.match(line):
            found[match[1]] += [word.strip() for word in match[2].split(",")]
    return RoutineFile(path, text, tuple(found["requires"]), tuple(found["needs"]))


def discover(root: Path) -> list[RoutineFile]:
    """Return every routine file below ``root`` (the folder ``sql``), in the order to apply."""
    paths = [p for lane in ("functions", "procedures") for p in (root / lane).rglob("*.sql")]
    return ordered(
        parse(p.relative_to(root).as_posix(), p.read_text(encoding="utf-8")) for p in paths
    )


def ordered(files: Iterable[RoutineFile]) -> list[RoutineFile]:
    """Return the files so that each comes after what it requires, otherwise by path."""
    by_path = {file.path: file for file in sorted(files, key=lambda file: file.path)}
    for file in by_path.values():
        for wanted in file.requires:
            if wanted not in by_path:
                raise TaLabError(
                    f"sql/{file.path} requires {wanted}, which does not exist",
                    "Correct the path in its header, relative to sql/.",
                )
    try:
        order = TopologicalSorter({f.path: f.requires for f in by_path.values()}).static_order()
        return [by_path[path] for path in order]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise TaLabError(
            f"routine files require each other in a circle: {circle}", "Break the circle."
        ) from None


def stale(conn: psycopg.Connection, files: Sequence[RoutineFile]) -> list[RoutineFile]:
    """Return the files whose text differs from what this database has."""
    standing: dict[str, str] = dict(
        conn.execute("select f.path, f.sha256 from ta_meta.routine_file as f")
    )
    return [file for file in files if standing.get(file.path) != file.sha256]


def apply(
    conn: psycopg.Connection, files: Sequence[RoutineFile], *, say: Callable[[str], None]
) -> int:
    """Apply every stale file inside the caller's transaction; return how many there were.

    The connection must be psycopg's own, under ``set role ta_lab2_owner``: through
    SQLAlchemy the ``%`` and ``:`` of a body would be taken for placeholders.
    """
    due = stale(conn, files)
    for at, file in enumerate(due):
        if len(due) <= NAMED:
            say(f"applying sql/{file.path}")
        elif at % NAMED == 0:
            say(f"applying routine files: {at} of {len(due)}")
        _execute(conn, file)
        conn.execute(
            """
            insert into ta_meta.routine_file as f (path, sha256) values (%s, %s)
            on conflict (path) do update set sha256 = excluded.sha256, applied_at = now()
            """,
            (file.path, file.sha256),
        )
    gone = conn.execute(
        "delete from ta_meta.routine_file as f where f.path <> all (%s) returning f.path",
        ([file.path for file in files],),
    ).fetchall()
    if gone and (left := orphans(conn, files)):
        raise TaLabError(
            f"sql/{gone[0][0]} is gone, but {', '.join(left)} still stands in the database",
            "Drop it in a revision of the same change.",
        )
    return len(due)


def orphans(conn: psycopg.Connection, files: Sequence[RoutineFile]) -> list[str]:
    """Return the routines of ours that no file makes."""
    filed = {name for file in files for _, name in file.creates}
    standing = conn.execute(
        """
        select distinct n.nspname || '.' || p.proname
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = any (%s) and p.proowner = %s::regrole
        order by 1
        """,
        (["public", *SLICES], OWNER),
    )
    return [name for (name,) in standing if name not in filed]


def _execute(conn: psycopg.Connection, file: RoutineFile) -> None:
    """Run one file; name the file and the line when the server refuses it."""
    untrusted = "plpython3u" in file.needs
    _check_extensions(conn, file)
    try:
        if untrusted:
            # Only a superuser may create a function in an untrusted language.
            conn.execute("reset role")
        conn.execute(file.text.encode())
        if untrusted:
            _hand_over(conn, file)
            conn.execute(f"set local role {OWNER}")
    except psycopg.Error as error:
        diag = error.diag
        at = int(diag.statement_position or 0)
        line = file.text[:at].count("\n") + 1 if at else None
        where = f"sql/{file.path}" + (f", line {line}" if line else "")
        raise TaLabError(
            f"{where}: {diag.message_primary or error}",
            diag.message_hint
            or diag.context
            or "Nothing was applied; correct it and migrate again.",
        ) from error


def _check_extensions(conn: psycopg.Connection, file: RoutineFile) -> None:
    missing = conn.execute(
        """
        select n.name
        from unnest(%s::text[]) as n (name)
        where not exists (select from pg_extension as e where e.extname = n.name)
        """,
        (list(file.needs),),
    ).fetchall()
    if missing:
        raise TaLabError(
            f"sql/{file.path} needs the extension {missing[0][0]}, which this database lacks",
            "`ta-lab2 db doctor` says which package has it.",
        )


def _hand_over(conn: psycopg.Connection, file: RoutineFile) -> None:
    """Give the routines that the superuser made of a file to the owner, with the owner's defaults.

    Default privileges follow the creator: without this PUBLIC could execute them.
    """
    made = conn.execute(
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where format('%%s.%%s', n.nspname, p.proname) = any (%s)
          and p.proowner = (select r.oid from pg_roles as r where r.rolname = current_user)
        """,
        ([name for _, name in file.creates],),
    ).fetchall()
    for (signature,) in made:
        # regprocedure's text is quoted by the server.
        for statement in (
            f"alter routine {signature} owner to {OWNER}",
            f"revoke all on routine {signature} from public",
            f"grant execute on routine {signature} to {APP}",
        ):
            conn.execute(statement.encode())
