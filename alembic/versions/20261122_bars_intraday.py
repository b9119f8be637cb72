"""bars: candles shorter than a day, and their bars of an hour and of a day

``intraday_rollups`` holds the bars where TimescaleDB has no continuous aggregates; where it has them it
stays empty, and ``intraday_buckets``, from which all views here read, is pointed to those: by
``bars.make_intraday_rollups()`` at the end of every migration, because an aggregate needs the hypertable
that the migration makes last.
"""

from alembic import op

revision = "20261122_bars_intraday"
down_revision = "20261122_bars_session_dates"

PRICES = {
    "open": "First price.",
    "high": "Highest price.",
    "low": "Lowest price.",
    "close": "Last price.",
}
BAR = {
    "id": "The asset.",
    "resolution": "The length of the candles that it was made from.",
    "bucket": "Its length: an hour or 24 hours.",
    "ts": "Its start, UTC.",
    **PRICES,
    "volume": "Sum of the volumes that are known, in the order of time; null: none is.",
    "candles": "Candles in it.",
    "last_ts": "The start of its last candle.",
}
COMMENTS = {
    "bars.intraday_candles": (
        "Candles of at most an hour in US dollars, one row per asset, resolution and start.",
        {
            "id": "The asset.",
            "resolution": "The candle''s length, which divides the hour; each has a series of its own.",
            "ts": "Its start, UTC.",
            **PRICES,
            "volume": "Traded in it, as given, in the volume_unit of the series'' source.",
            "recorded_at": "When this version was stored: the begin of its transaction.",
        },
    ),
    "bars.intraday_state": (
        "One row per series of intraday candles.",
        {
            "id": "The asset.",
            "resolution": "The length of the candles.",
            "source": "Where they come from: the first source loaded, until a switch; null: none yet.",
        },
    ),
    "bars.intraday_rollups": (
        "Bars of intraday candles, open ones too, where TimescaleDB has no continuous aggregates.",
        BAR,
    ),
}
VIEWS = {
    "intraday_buckets": "Bars of intraday candles, open ones too, wherever this edition keeps them.",
    "intraday_1h": "Closed bars of an hour from intraday candles, one per asset, resolution and hour.",
    "intraday_1d": "Closed bars of a UTC day from intraday candles, one per asset, resolution and day.",
}
ROLLUP = (
    "id",
    "resolution",
    "ts",
    "time_close",
    *PRICES,
    "volume",
    "candles",
    "missing_candles",
)
PUBLISHED = {
    "intraday_candles": ("id", "resolution", "ts", *PRICES, "volume", "recorded_at"),
    "intraday_state": ("id", "resolution", "source"),
    "intraday_1h": ROLLUP,
    "intraday_1d": ROLLUP,
}
LOADS = """
    select
        l.load, l.file, l.sha256, l.source, l.id, l.started_at, l.finished_at, l.recorded_at,
        l.source_before, l.loaded, l.unchanged, l.revised, l.rejected, l.forming,
        l.other_source, l.other_differing, l.other_new, l.undone_at
"""
TRIGGERS = (
    "log_inserted_intraday",
    "log_updated_intraday",
    "log_deleted_intraday",
    "refuse_to_truncate_intraday",
    "stamp_intraday",
)


def upgrade() -> None:
    op.execute("""
        create table bars.intraday_candles (
            id          integer not null references bars.dim_assets,
            resolution  interval not null,
            ts          timestamptz not null,
            open        double precision not null,
            high        double precision not null,
            low         double precision not null,
            close       double precision not null,
            volume      double precision,
            recorded_at timestamptz not null default now(),
            primary key (id, resolution, ts),
            constraint resolution_divides_the_hour check (
                resolution > '0' and resolution <= '1 hour'
                and date_bin(resolution, '2000-01-01 01:00+00', '2000-01-01 00:00+00') = '2000-01-01 01:00+00'
            ),
            constraint ts_begins_a_candle check (
                isfinite(ts) and date_bin(resolution, ts, '2000-01-01 00:00+00') = ts
            ),
            constraint prices_are_in_order check (low <= least(open, close) and high >= greatest(open, close)),
            -- NaN is greater than every number, infinity included.
            constraint prices_are_positive check (low > 0 and high < 'infinity'),
            constraint volume_is_a_number check (volume >= 0 and volume < 'infinity')
        )
    """)
    op.execute("""
        create table bars.intraday_state (
            id         integer not null references bars.dim_assets,
            resolution interval not null,
            source     text references bars.dim_sources,
            primary key (id, resolution)
        )
    """)
    op.execute("""
        create table bars.intraday_rollups (
            id         integer not null references bars.dim_assets,
            resolution interval not null,
            bucket     interval not null,
            ts         timestamptz not null,
            open       double precision not null,
            high       double precision not null,
            low        double precision not null,
            close      double precision not null,
            volume     double precision,
            candles    bigint not null,
            last_ts    timestamptz not null,
            primary key (id, bucket, resolution, ts)
        )
    """)
    op.execute("alter table bars.loads add column resolution interval")
    op.execute(
        "comment on column bars.loads.resolution is"
        " 'The length of the intraday candles that it brought; null: daily candles.'"
    )
    op.execute(
        f"create or replace view published.loads as {LOADS}, l.resolution from bars.loads as l"
    )
    # It has one argument more now.
    op.execute("drop procedure if exists public.schedule_jobs(text)")
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")
    op.execute("grant insert, update, delete on bars.intraday_candles to ta_lab2_app")
    op.execute("grant insert, update on bars.intraday_state to ta_lab2_app")
    op.execute("grant insert, update, delete on bars.intraday_rollups to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class, time_column, chunk_interval)
        values ('bars', 'intraday_candles', 'asset', 'ts', '30 days'),
               ('bars', 'intraday_state', 'asset', null, null),
               ('bars', 'intraday_rollups', 'asset', 'ts', '365 days')
    """)
    op.execute("""
        insert into bars.dim_consumers (consumer, description, reads)
        values ('intraday', 'Bars of intraday candles.', 'intraday_candles')
    """)
    names = ", ".join(f"r.{column}" for column in BAR)
    op.execute(
        f"create view bars.intraday_buckets as select {names} from bars.intraday_rollups as r"
    )
    for view, bucket in {"intraday_1h": "1 hour", "intraday_1d": "24 hours"}.items():
        # 24 hours and not a day, whose length depends on the session's time zone.
        op.execute(f"""
            create view bars.{view} as
            select
                b.id, b.resolution, b.ts,
                b.ts + interval '{bucket}' - interval '1 millisecond' as time_close,
                b.open, b.high, b.low, b.close, b.volume, b.candles,
                (extract(epoch from interval '{bucket}') / extract(epoch from b.resolution))::bigint
                    - b.candles as missing_candles
            from bars.intraday_buckets as b
            where b.bucket = '{bucket}'
              -- Closed by its series: a candle of it ends at the bar's end or later.
              and (
                  b.last_ts + b.resolution >= b.ts + interval '{bucket}'
                  or exists (
                      select
                      from bars.intraday_buckets as n
                      where n.bucket = '{bucket}'
                        and n.id = b.id
                        and n.resolution = b.resolution
                        and n.ts > b.ts
                  )
              )
        """)
    for view, what in VIEWS.items():
        op.execute(f"comment on view bars.{view} is '{what}'")
    for view, columns in PUBLISHED.items():
        names = ", ".join(f"p.{column}" for column in columns)
        op.execute(f"create view published.{view} as select {names} from bars.{view} as p")
        op.execute(f"comment on view published.{view} is 'bars.{view}, to be read.'")


def downgrade() -> None:
    for view in PUBLISHED:
        op.execute(f"drop view published.{view}")
    op.execute("""
        update bars.price_rejects as r
        set load = null
        from bars.loads as l
        where r.load = l.load
          and l.resolution is not null
    """)
    op.execute("delete from bars.loads as l where l.resolution is not null")
    op.execute("drop view published.loads")
    op.execute("drop function if exists bars._undo_intraday(bars.loads)")
    op.execute("alter table bars.loads drop column resolution")
    op.execute(f"create view published.loads as {LOADS} from bars.loads as l")
    op.execute("comment on view published.loads is 'bars.loads, to be read.'")
    for view in reversed(VIEWS):
        op.execute(f"drop view bars.{view}")
    for bucket in ["1h", "1d"]:
        # Made by the routine lane where TimescaleDB has continuous aggregates.
        op.execute(f"drop materialized view if exists bars.intraday_{bucket}_continuous")
    for function in TRIGGERS:
        op.execute(f"drop function if exists bars.{function}() cascade")
        op.execute(
            f"delete from ta_meta.routine_file as f where f.path = 'functions/bars/{function}.sql'"
        )
    for table in reversed(COMMENTS):
        op.execute(f"drop table {table}")
        op.execute(
            "delete from ta_meta.table_class as c"
            f" where c.schema_name || '.' || c.table_name = '{table}'"
        )
    op.execute("drop procedure if exists public.schedule_jobs(text, text)")
    op.execute("""
        delete from ta_meta.routine_file as f
        where f.path in ('functions/bars/undo_load.sql', 'procedures/ops/schedule_jobs.sql')
    """)
    op.execute("delete from bars.dirty_range as d where d.consumer = 'intraday'")
    op.execute("delete from bars.dim_consumers as c where c.consumer = 'intraday'")
