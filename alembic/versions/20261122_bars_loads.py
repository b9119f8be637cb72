"""bars: where candles come from, and every load as a row that can be taken back

An asset's candles come from one source, which ``price_state`` remembers; what came before this revision
has none, and the next load names it. A load and its candles share ``recorded_at``, so that a candle's
file is a join away and ``undo_load`` finds what to take back.
"""

from alembic import op

revision = "20261122_bars_loads"
down_revision = "20261122_bars_revisions"

COMMENTS = {
    "bars.dim_sources": (
        "Where prices come from. A new one is an insert.",
        {
            "source": "The name that loads use.",
            "volume_unit": "What a volume counts: base, units of the asset; quote, US dollars.",
            "description": "What it is.",
        },
    ),
    "bars.loads": (
        "Every load of a price file: what became of its lines. The counts add up to them.",
        {
            "load": "Names the load, for ingest --undo.",
            "file": "The file''s path when it was loaded.",
            "sha256": "Digest of the file, 64 hex digits; null: it was no file.",
            "source": "Where its prices come from.",
            "id": "The asset.",
            "started_at": "The begin of its transaction.",
            "finished_at": "When its last line was done.",
            "recorded_at": "The recorded_at of the candles that it wrote; null: it wrote none.",
            "source_before": "The asset''s source before it; null: none yet.",
            "loaded": "New candles.",
            "unchanged": "Lines that say what is stored.",
            "revised": "Candles that were stored with other values.",
            "rejected": "Lines in price_rejects.",
            "forming": "Candles whose session had not ended.",
            "other_source": "Good lines not stored: the asset''s candles come from another source.",
            "other_differing": "Those of them whose prices differ from the stored ones by 1e-7 or more.",
            "other_new": "Those of them whose session has no candle: ingest --extend stores them.",
            "undone_at": "When it was taken back; null: it was not.",
        },
    ),
}

ROUTINES = {
    "functions/bars/load_staged_prices.sql": (
        "bars.load_staged_prices(uuid, text, integer, text, text[], timestamptz,"
        " text, text, boolean, boolean)"
    ),
    "functions/bars/undo_load.sql": "bars.undo_load(uuid)",
}


def upgrade() -> None:
    op.execute(
        "drop function if exists"
        " bars.load_staged_prices(uuid, text, integer, text, text[], timestamptz)"
    )
    op.execute("""
        create table bars.dim_sources (
            source      text primary key,
            volume_unit text not null,
            description text not null,
            constraint volume_unit_is_known check (volume_unit in ('base', 'quote'))
        )
    """)
    op.execute("""
        create table bars.loads (
            load            uuid primary key,
            file            text not null,
            sha256          text,
            source          text not null references bars.dim_sources,
            id              integer not null references bars.dim_assets,
            started_at      timestamptz not null default now(),
            finished_at     timestamptz,
            recorded_at     timestamptz,
            source_before   text references bars.dim_sources,
            loaded          bigint not null default 0,
            unchanged       bigint not null default 0,
            revised         bigint not null default 0,
            rejected        bigint not null default 0,
            forming         bigint not null default 0,
            other_source    bigint not null default 0,
            other_differing bigint not null default 0,
            other_new       bigint not null default 0,
            undone_at       timestamptz,
            constraint sha256_is_one check (sha256 ~ '^[0-9a-f]{64}$')
        )
    """)
    op.execute("create index loads_by_asset on bars.loads (id, recorded_at)")
    op.execute("alter table bars.price_state add column source text references bars.dim_sources")
    op.execute(
        "comment on column bars.price_state.source is"
        " 'Where the candles come from: the first source loaded, until a switch; null: none yet.'"
    )
    op.execute(
        "comment on column bars.cmc_price_histories7.volume is"
        " 'Traded in the session, as given, in the volume_unit of the asset''s source;"
        " 0 often means not recorded.'"
    )
    op.execute("alter table bars.price_rejects add column load uuid references bars.loads")
    op.execute(
        "comment on column bars.price_rejects.load is"
        " 'The load that rejected it first for this reason; null: before loads were kept.'"
    )
    op.execute("""
        update bars.price_rejects as r
        set raw = left(r.raw, 2000)
        where char_length(r.raw) > 2000
    """)
    op.execute("""
        alter table bars.price_rejects
        add constraint raw_is_cut check (char_length(raw) <= 2000)
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")
    op.execute("grant insert, update on bars.loads to ta_lab2_app")
    op.execute("grant insert on bars.dim_sources to ta_lab2_app")
    op.execute("grant select on bars.dim_sources to ta_lab2_research")
    # What is deleted is kept in price_revisions.
    op.execute("grant delete on bars.cmc_price_histories7 to ta_lab2_app")
    op.execute("""
        insert into bars.dim_sources (source, volume_unit, description)
        values ('coinmarketcap', 'quote', 'CoinMarketCap: averages over many exchanges.'),
               ('synthetic', 'quote', 'Made up by ops.synthetic_market().')
    """)
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('bars', 'dim_sources', 'dim'),
               ('bars', 'loads', 'single')
    """)
    op.execute("""
        create view published.dim_sources as
        select s.source, s.volume_unit, s.description
        from bars.dim_sources as s
    """)
    op.execute("""
        create view published.loads as
        select
            l.load, l.file, l.sha256, l.source, l.id, l.started_at, l.finished_at, l.recorded_at,
            l.source_before, l.loaded, l.unchanged, l.revised, l.rejected, l.forming,
            l.other_source, l.other_differing, l.other_new, l.undone_at
        from bars.loads as l
    """)
    for view in ["dim_sources", "loads"]:
        op.execute(f"comment on view published.{view} is 'bars.{view}, to be read.'")
    op.execute("""
        create or replace view published.price_state as
        select c.id, c.first_recorded_at, c.recorded_at, c.source
        from bars.price_state as c
    """)
    op.execute("""
        create or replace view published.price_rejects as
        select r.file, r.line, r.raw, r.reason, r.rejected_at, r.load
        from bars.price_rejects as r
    """)


def downgrade() -> None:
    for path, function in ROUTINES.items():
        op.execute(f"drop function if exists {function}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("revoke delete on bars.cmc_price_histories7 from ta_lab2_app")
    views = {
        "price_state": "c.id, c.first_recorded_at, c.recorded_at from bars.price_state as c",
        "price_rejects": (
            "r.file, r.line, r.raw, r.reason, r.rejected_at from bars.price_rejects as r"
        ),
    }
    for view, query in views.items():
        op.execute(f"drop view published.{view}")
        op.execute(f"create view published.{view} as select {query}")
        op.execute(f"comment on view published.{view} is 'bars.{view}, to be read.'")
    op.execute("alter table bars.price_rejects drop constraint raw_is_cut")
    op.execute("alter table bars.price_rejects drop column load")
    op.execute("alter table bars.price_state drop column source")
    for name in ["loads", "dim_sources"]:
        op.execute(f"drop view published.{name}")
        op.execute(f"drop table bars.{name}")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'bars' and c.table_name in ('loads', 'dim_sources')
    """)
