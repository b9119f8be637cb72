"""A refresh whose record is looked at: five assets of sixty days, and how one of them fails."""

from __future__ import annotations

from psycopg.rows import dict_row

from ta_lab2.features import queries as features
from tests.support import contract, prices
from tests.support.contract import DAILY

ASSETS = (1, 2, 3, 52, 1027)
DAYS = 60
#: What a refresh writes for an asset.
ROWS = DAYS * len(DAILY)


def load(conn) -> None:
    """Give a database five assets of sixty days, and no timeframes."""
    contract.only(conn, ())
    for asset in ASSETS:
        prices.put(conn, asset, {n: 1.0 + (n * asset) % 13 for n in range(DAYS)})


def refresh(conn, asset_ids=None) -> list[str]:
    lines: list[str] = []
    features.refresh(conn, asset_ids, on_notice=lines.append)
    return lines


def rows(conn, table, where="true", *parameters):
    cursor = conn.cursor(row_factory=dict_row)
    return cursor.execute(
        f"select * from observability.{table} as t where {where}", parameters
    ).fetchall()


def runs(conn):
    return rows(conn, "workflow_state", "true order by t.created_at")


def digest(conn):
    return conn.execute(
        """
        select md5(string_agg(r::text, ';' order by r.id, r.ts))
        from features.cmc_returns_daily as r
        """
    ).fetchone()[0]


def refuse(conn, asset) -> None:
    """Let the refresh of one asset fail."""
    conn.execute(
        f"""
        alter table features.cmc_returns_daily
        add constraint not_{asset} check (id <> {asset}) not valid
        """
    )


def allow(conn, asset) -> None:
    conn.execute(f"alter table features.cmc_returns_daily drop constraint not_{asset}")
