"""What ``--help`` leaves out: the Python type beside a flag, which takes no value, and an argument.

Typer shows ``<bool>`` and ``<list[str]>`` there and has no setting for it.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperOption

_typed = TyperOption.display_type_rich


def _of_an_option(option: TyperOption, ctx: Any) -> str | None:
    return None if option.is_flag else _typed(option, ctx)


def _of_an_argument(argument: TyperArgument, ctx: Any) -> str | None:  # noqa: ARG001 - as Typer calls it
    return None


def install() -> None:
    """Have every command's help read so."""
    TyperOption.display_type_rich = _of_an_option  # type: ignore[assignment,method-assign]
    TyperArgument.display_type_rich = _of_an_argument  # type: ignore[assignment,method-assign]
