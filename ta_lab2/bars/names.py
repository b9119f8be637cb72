"""Which asset a word means: commands take a symbol, a name or an id, all alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import class_row

from ta_lab2.errors import Refused


@dataclass(frozen=True, slots=True)
class _Asset:
    """An asset that the user may have meant."""

    id: int
    slug: str


def asset_id(conn: Connection, word: str) -> int:
    """Return the id of the asset that has this symbol, name or id."""
    if not word:
        raise Refused("an asset is named by nothing", "Give a symbol, a name or an id.")
    with conn.cursor(row_factory=class_row(_Asset)) as cursor:
        found = cursor.execute(
            """
            select a.id, a.slug
            from published.dim_assets as a
            where lower(%(word)s) in (lower(a.symbol), a.slug, a.id::text)
            -- An id means its asset, whatever others are called.
            order by a.id::text = %(word)s desc, a.id
            """,
            {"word": word},
        ).fetchall()
    match found:
        case [one, *_] if str(one.id) == word:
            return one.id
        case [one]:
            return one.id
        case []:
            raise Refused(f"there is no asset {word}", "`ta-lab2 assets list` lists them.")
        case _:
            each = ", ".join(f"{asset.id} ({asset.slug})" for asset in found)
            raise Refused(f"{word} may be one of several assets", f"Give the id: {each}.")


def asset_ids(conn: Connection, words: Iterable[str] | None) -> list[int] | None:
    """Return the ids of the assets that the words mean, in their order; None without words."""
    return [asset_id(conn, word) for word in words or ()] or None
