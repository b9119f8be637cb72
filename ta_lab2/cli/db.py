"""``ta-lab2 db``: the database server and its migrations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from ta_lab2.cli import console
from ta_lab2.db import migrate as migrations
from ta_lab2.db import runtime as runtimes
from ta_lab2.db.runtime import adoption, databases
from ta_lab2.db.runtime.interface import Runtime
from ta_lab2.db.runtime.project import Login, Project, RuntimeName
from ta_lab2.errors import Refused
from ta_lab2.settings import settings

app = typer.Typer(no_args_is_help=True, help="The database: start, look at, migrate, remove.")

DOWN = 3
#: psql's own status when it got no connection.
NO_CONNECTION = 2

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]
LoginOption = Annotated[Login, typer.Option("--login", help="As whom.")]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="NAME", help="Another database of the server.")
]


@contextmanager
def chosen(wanted: RuntimeName | None = None) -> Iterator[Runtime]:
    """Yield the project's runtime, with the project's lock held."""
    project = Project.of(settings())
    if settings().database_url is not None:
        yield runtimes.choose(settings(), project)
        return
    with project.lock(console.say):
        yield runtimes.choose(settings(), project, wanted)


@app.command()
def up(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="WHICH", help="With --adopt: the old path or key.", show_default=False
        ),
    ] = None,
    runtime: Annotated[
        RuntimeName | None, typer.Option(help="Which runtime makes the database.")
    ] = None,
    switch: Annotated[
        bool, typer.Option("--switch", help="Move to another runtime; the old data stays.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over the database of a checkout that was moved.")
    ] = False,
) -> None:
    """Make the database server if there is none, and start it."""
    if which is not None and not adopt:
        raise typer.BadParameter("only --adopt takes one", param_hint="WHICH")
    if adopt:
        adoption.adopt(settings(), Project.of(settings()), which, console.say)
    if switch:
        with chosen() as before:
            runtimes.switch(settings(), before, runtime, console.say)
    project = Project.of(settings())
    with chosen(runtime) as server:
        if not adopt and runtimes.made_by(project) is None:
            for key, record in adoption.orphans(project).items():
                console.say(
                    f"note: {key} is the database of {record.root}, which has gone;"
                    f" `ta-lab2 db up --adopt {key}` would have taken it over"
                )
        server.up(console.say)
        console.out.print(server.endpoint("app").url(), markup=False)
    console.say("next: `ta-lab2 db migrate`")


@app.command()
def down(
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Remove the data too; asks first.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Stop the server; the data stays."""
    if volumes:
        destroy(yes=yes)
        return
    with chosen() as server:
        server.down(console.say)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show which database is in use and what it has. Exit status 0: it is up, 3: it is not."""
    with chosen() as server:
        is_up = server.is_up()
        shown: dict[str, object] = {
            "runtime": server.name,
            "up": is_up,
            "state": str(Project.of(settings()).home),
            **server.describe(),
        }
        if is_up:
            endpoint = server.endpoint("admin")
            shown["url"] = server.endpoint("app").url()
            look = databases.look(endpoint)
            shown |= {
                "version": look.version,
                "uptime": str(look.uptime),
                "extensions": look.extensions,
                "timescaledb edition": look.edition,
                "databases": look.sizes,
            }
    if as_json:
        typer.echo(json.dumps(shown))
    else:
        _print_status(shown)
    if not is_up:
        raise typer.Exit(DOWN)


def _print_status(shown: dict[str, object]) -> None:
    width = max(map(len, shown))
    for name, value in shown.items():
        match value:
            case bool():
                text = "yes" if value else "no"
            case dict() if name == "databases":
                text = ", ".join(f"{key} ({_megabytes(size)})" for key, size in value.items())
            case dict():
                text = ", ".join(f"{key} {version}" for key, version in value.items())
            case _:
                text = "not installed" if value is None else str(value)
        console.out.print(f"{name:<{width}}  {text}", markup=False)


def _megabytes(size: int | None) -> str:
    return "no access" if size is None else f"{size / 2**20:.1f} MB"


@app.command()
def url(
    login: LoginOption = "app",
    database: DatabaseOption = None,
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Print the password too.")
    ] = False,
) -> None:
    """Print the database's URL, without the password unless asked."""
    project = Project.of(settings())
    endpoint = runtimes.choose(settings(), project).endpoint(login, dbname=database)
    typer.echo(endpoint.url(with_password=with_password))


@app.command(context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT", help="After `--`: what psql takes.", show_default=False),
    ] = None,
    login: LoginOption = "app",
    database: DatabaseOption = None,
) -> int:
    """Open psql on the database, with the server's own version."""
    server = runtimes.choose(settings(), Project.of(settings()))
    status = server.psql(server.endpoint(login, dbname=database), arguments or [])
    if status == NO_CONNECTION and login != "admin" and not isinstance(server, runtimes.Yours):
        console.say(f"the login {login} exists from the first `ta-lab2 db migrate` on")
    return status


@app.command()
def migrate(database: DatabaseOption = None) -> None:
    """Bring the database to the newest tables and routines; repeating it changes nothing."""
    with chosen() as server:
        migrations.migrate_on(server, dbname=database, say=console.say)


@app.command()
def upgrade() -> None:
    """Fetch the newest packages or image, restart on them, and update the extensions."""
    with chosen() as server:
        server.upgrade(console.say)


@app.command()
def reset(
    database: DatabaseOption = None,
    yes: Yes = False,
) -> None:
    """Drop the database with everything in it and make it anew, migrated and empty."""
    name = database or settings().database
    with chosen() as server:
        if isinstance(server, runtimes.Yours):
            raise Refused(
                f"{server.endpoint('app').url()} is your own server: nothing is dropped there",
                "Drop and make the database yourself, then run `ta-lab2 db migrate`.",
            )
        if not console.confirm(f"Drop the database {name} and all its data?", yes=yes):
            raise typer.Exit(2)
        server.up(console.say)
        maintenance = server.endpoint("admin", dbname="postgres")
        databases.drop(maintenance, name)
        databases.create(maintenance, name)
        migrations.migrate_on(server, dbname=name, say=console.say)
    console.say(f"the database {name} is empty now")


@app.command()
def destroy(yes: Yes = False) -> None:
    """Remove the server with all its databases for ever."""
    with chosen() as server:
        if isinstance(server, runtimes.Yours):
            server.destroy(console.say)
        home = Project.of(settings()).home
        question = (
            f"Remove the {server.name} server in {home} with all its databases"
            f" ({settings().database} among them) for ever?"
        )
        if not console.confirm(question, yes=yes):
            raise typer.Exit(2)
        server.destroy(console.say)
    console.say("the database is gone; `ta-lab2 db up` makes an empty one")
