"""Every exception of the package, and its exit status.

* TaLabError                 something of ours went wrong: exit 1
  * Refused                  the user can mend it: exit 2
  * DatabaseRaised           a routine raised one of our SQLSTATEs (class ``TA``)

A class declares its SQLSTATE, and the mapping builds itself; a test holds these
classes against the codes that the files under ``sql/`` raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import psycopg


class TaLabError(Exception):
    """Something of ours went wrong.

    Args:
        what: what happened and where, one sentence without a full stop.
        hint: what to do about it, one sentence or one command.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Refused(TaLabError):
    """The user asked for what cannot be, or must do something first."""

    exit_code = 2


class DatabaseRaised(TaLabError):
    """A routine of ours raised an error that names its situation by SQLSTATE."""

    sqlstate: ClassVar[str] = ""
    by_sqlstate: ClassVar[dict[str, type[DatabaseRaised]]] = {}

    def __init_subclass__(cls, *, sqlstate: str) -> None:
        cls.sqlstate = sqlstate
        if sqlstate in DatabaseRaised.by_sqlstate:
            raise TypeError(f"{sqlstate} has two classes")
        DatabaseRaised.by_sqlstate[sqlstate] = cls

    def __init__(self, what: str, hint: str = "", *, detail: str = "") -> None:
        super().__init__(what, hint)
        self.detail = detail


@contextmanager
def translated() -> Iterator[None]:
    """Turn database errors that carry one of our SQLSTATEs into their classes."""
    try:
        yield
    except psycopg.Error as error:
        known = DatabaseRaised.by_sqlstate.get(error.sqlstate or "")
        if known is None:
            raise
        diag = error.diag
        # PL/Python puts its own name before the message; the code is what identifies it.
        what = (diag.message_primary or str(error)).removeprefix("plpy.Error: ")
        raise known(what, diag.message_hint or "", detail=diag.message_detail or "") from error
