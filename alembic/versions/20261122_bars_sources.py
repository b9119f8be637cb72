"""bars: the sources of the price files whose layouts are known

A layout names its source, and the source says what its volumes count. Exchanges count units of the
asset. Of Yahoo there are two: its cryptocurrencies count US dollars, its equities count shares.
"""

from alembic import op

revision = "20261122_bars_sources"
down_revision = "20261122_bars_sessions"

SOURCES = {
    "binance": ("base", "Binance: its own trades, the UTC day."),
    "cryptodatadownload": ("base", "CryptoDataDownload: one exchange''s trades, the UTC day."),
    "equity": ("base", "Equity prices not adjusted for dividends, volume in shares."),
    "kraken": ("base", "Kraken: its own trades, the UTC day."),
    "ohlc_mit": ("quote", "Prices without volume; the day ends about 22:00 UTC, not at midnight."),
    "yahoo": ("quote", "Yahoo Finance: cryptocurrencies, the UTC day."),
    "yahoo_equity": ("base", "Yahoo Finance: equities, adjusted for splits, volume in shares."),
}


def upgrade() -> None:
    for source, (unit, description) in SOURCES.items():
        # Whoever needed one before has made it.
        op.execute(f"""
            insert into bars.dim_sources (source, volume_unit, description)
            values ('{source}', '{unit}', '{description}')
            on conflict (source) do nothing
        """)


def downgrade() -> None:
    listed = ", ".join(f"'{source}'" for source in SOURCES)
    # One that is in use stays.
    op.execute(f"""
        delete from bars.dim_sources as d
        where d.source in ({listed})
          and not exists (
              select
              from bars.loads as l
              where d.source in (l.source, l.source_before)
          )
          and not exists (select from bars.price_state as t where t.source = d.source)
    """)
