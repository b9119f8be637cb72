"""How the command line speaks: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Print one line of progress."""
    err.print(line, markup=False)


def error(what: str, *more: str) -> None:
    """Print one error: what and where, then the facts and what to do, a line each."""
    err.print("[bold red]error:[/] ", end="")
    err.print(what, markup=False)
    for line in more:
        if line:
            err.print(f"  {line}", markup=False)


def confirm(question: str, *, yes: bool) -> bool:
    """Ask, unless ``--yes`` was given; without a terminal nobody can answer, so it is no."""
    if yes:
        return True
    if not sys.stdin.isatty():
        error(f"{question} Nobody is there to answer", "Say --yes in scripts.")
        return False
    return console_yes(question)


def console_yes(question: str) -> bool:
    """Return whether the person at the terminal types yes."""
    err.print(f"{question} [y/N] ", end="", markup=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
