"""bars: assets, their daily candles, and what ingest needs

``price_staging`` is unlogged and keyed by the load, so that two loads never meet there;
a load's rows live only inside its own transaction. ``price_rejects`` is keyed by the text
of the line too: loading a file twice adds nothing, a corrected file keeps what it said before.
"""

from alembic import op

revision = "20261122_bars_prices"
down_revision = "20261122_db_slices"

COMMENTS = {
    "bars.dim_assets": (
        "What has a price: one row per asset.",
        {
            "id": "CoinMarketCap''s numeric id.",
            "symbol": "The ticker; until a file with tickers is loaded, the slug.",
            "slug": "The name in CoinMarketCap''s addresses, as in the file name <id>_<slug>.csv.",
        },
    ),
    "bars.cmc_price_histories7": (
        "Daily candles in US dollars, one row per asset and session that has ended.",
        {
            "id": "The asset.",
            "ts": "The last millisecond of the session, 23:59:59.999 UTC for crypto.",
            "open": "First price of the session.",
            "high": "Highest price.",
            "low": "Lowest price.",
            "close": "Last price.",
            "volume": "Traded in the session, in US dollars, as given; 0 often means not recorded.",
            "market_cap": "Market capitalisation at the close in US dollars; null: not known.",
            "time_high": "When the highest price was seen, as given; null: not known.",
            "time_low": "When the lowest price was seen, as given; null: not known.",
        },
    ),
    "bars.price_staging": (
        "Lines of files on their way in, as text; empty but inside a running load.",
        {
            "load": "The load that brought the line.",
            "line": "The line''s number in its file, the header is 1.",
            "raw": "The whole line, cut at 2000 characters.",
            "fault": "Why the line does not split into the header''s columns; null: it does.",
            "day": "The session''s date, or a time of that day.",
            "ticker": "The asset''s symbol.",
            "quote": "CoinMarketCap''s id of the currency of the prices.",
            "open": "First price.",
            "high": "Highest price.",
            "low": "Lowest price.",
            "close": "Last price.",
            "volume": "Volume.",
            "market_cap": "Market capitalisation.",
            "time_high": "When the highest price was seen.",
            "time_low": "When the lowest price was seen.",
        },
    ),
    "bars.price_rejects": (
        "Lines of price files that were not loaded, and why. Nothing is ever removed from here.",
        {
            "file": "The file''s path when it was loaded.",
            "line": "The line''s number in it, the header is 1.",
            "raw": "The whole line, cut at 2000 characters.",
            "raw_md5": "Digest of raw: another text on the same line is another row.",
            "reason": "Why, in words.",
            "rejected_at": "When it was first rejected.",
        },
    ),
}


def comment(comments: dict[str, tuple[str, dict[str, str]]]) -> None:
    for table, (what, columns) in comments.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")


def upgrade() -> None:
    op.execute("""
        create table bars.dim_assets (
            id     integer primary key check (id > 0),
            symbol text not null,
            slug   text not null unique
        )
    """)
    op.execute("""
        create table bars.cmc_price_histories7 (
            id         integer not null references bars.dim_assets,
            ts         timestamptz not null,
            open       double precision not null,
            high       double precision not null,
            low        double precision not null,
            close      double precision not null,
            volume     double precision,
            market_cap double precision,
            time_high  timestamptz,
            time_low   timestamptz,
            primary key (id, ts),
            constraint prices_are_in_order check (low <= least(open, close) and high >= greatest(open, close)),
            -- NaN is greater than every number, infinity included.
            constraint prices_are_positive check (low > 0 and high < 'infinity'),
            constraint volume_is_a_number check (volume >= 0 and volume < 'infinity'),
            constraint market_cap_is_positive check (market_cap > 0 and market_cap < 'infinity')
        )
    """)
    op.execute("""
        create unlogged table bars.price_staging (
            load       uuid not null,
            line       integer not null,
            raw        text not null,
            fault      text,
            day        text,
            ticker     text,
            quote      text,
            open       text,
            high       text,
            low        text,
            close      text,
            volume     text,
            market_cap text,
            time_high  text,
            time_low   text,
            primary key (load, line)
        )
    """)
    op.execute("""
        create table bars.price_rejects (
            file        text not null,
            line        integer not null,
            raw         text not null,
            raw_md5     text not null generated always as (md5(raw)) stored,
            reason      text not null,
            rejected_at timestamptz not null default now(),
            primary key (file, line, raw_md5)
        )
    """)
    comment(COMMENTS)
    op.execute("grant insert, update on bars.dim_assets to ta_lab2_app")
    op.execute("grant insert, update on bars.cmc_price_histories7 to ta_lab2_app")
    op.execute("grant insert, delete on bars.price_staging to ta_lab2_app")
    op.execute("grant insert, update on bars.price_rejects to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class, time_column, chunk_interval)
        values ('bars', 'dim_assets', 'dim', null, null),
               ('bars', 'cmc_price_histories7', 'asset', 'ts', '365 days'),
               ('bars', 'price_staging', 'single', null, null),
               ('bars', 'price_rejects', 'single', null, null)
    """)
    op.execute("""
        create view published.dim_assets as
        select a.id, a.symbol, a.slug
        from bars.dim_assets as a
    """)
    op.execute("""
        create view published.cmc_price_histories7 as
        select p.id, p.ts, p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low
        from bars.cmc_price_histories7 as p
    """)
    op.execute("""
        create view published.price_rejects as
        select r.file, r.line, r.raw, r.reason, r.rejected_at
        from bars.price_rejects as r
    """)
    for view in ["dim_assets", "cmc_price_histories7", "price_rejects"]:
        op.execute(f"comment on view published.{view} is 'bars.{view}, to be read.'")


def downgrade() -> None:
    for name in ["price_rejects", "cmc_price_histories7", "dim_assets"]:
        op.execute(f"drop view published.{name}")
    for name in ["price_rejects", "price_staging", "cmc_price_histories7", "dim_assets"]:
        op.execute(f"drop table bars.{name}")
    op.execute("delete from ta_meta.table_class as c where c.schema_name = 'bars'")
