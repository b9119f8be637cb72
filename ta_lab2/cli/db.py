"""``ta-lab2 db``: the database server and its migrations."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="The database: start, look at, migrate, remove.")
