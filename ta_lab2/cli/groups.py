"""A command that has subcommands and still takes what is no subcommand itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

_DEFAULT = "default"


class _WithDefault(TyperGroup):
    """Hands everything that does not begin with a subcommand's name to the default command."""

    def make_context(self, info_name: Any, args: list[str], *rest: Any, **more: Any) -> Any:
        if args and args[0] in self.commands and args[0] != _DEFAULT:
            return super().make_context(info_name, args, *rest, **more)
        return self.commands[_DEFAULT].make_context(info_name, args, *rest, **more)


def with_default(command: Callable[..., None]) -> typer.Typer:
    """Return a group whose default command is a function."""
    group = typer.Typer(cls=_WithDefault, help=command.__doc__)
    group.command(_DEFAULT)(command)
    return group
