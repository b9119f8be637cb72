"""bars: lines staged together, and candles that are stamped and checked once a load

A row of ``price_staging`` may hold many lines, which the database splits. ``recorded_at`` has no default
any more: what a client leaves away, the trigger fills in. The foreign key of the candles goes:
checking it took a third of a load, and nothing is written without a row of ``price_state``, which has one.
"""

from alembic import op

revision = "20261122_bars_faster_loads"
down_revision = "20261122_features_ema_slopes"

#: What an older checkout doesn't know, or has in another place.
ROUTINES = {
    "functions/bars/staged_lines.sql": "bars.staged_lines(uuid)",
    "functions/bars/candle_fault.sql": (
        "bars.candle_fault(text, text, text, text, text, double precision, double precision,"
        " double precision, double precision, double precision)"
    ),
    "functions/bars/begin_load.sql": (
        "bars.begin_load(uuid, text, integer, text, text, boolean, interval)"
    ),
    "functions/bars/end_load.sql": (
        "bars.end_load(uuid, timestamptz, bigint, bigint, bigint, bigint, bigint, bigint, bigint,"
        " bigint)"
    ),
    "functions/bars/load_staged_prices.sql": (
        "bars._name_ticker(uuid, integer, date, date), bars._hold_prices(integer)"
    ),
    "functions/bars/refuse_to_redefine.sql": "bars.refuse_to_redefine() cascade",
    "functions/bars/load_staged_intraday.sql": None,
    "functions/bars/register_asset.sql": None,
    "functions/bars/log_inserted_prices.sql": None,
    "functions/bars/stamp_price.sql": None,
}


CHUNKS = """
    update ta_meta.table_class as c
    set chunk_interval = '{}'
    where c.schema_name = 'bars' and c.table_name = 'cmc_price_histories7'
"""


def upgrade() -> None:
    op.execute("alter table bars.price_staging add column header text[], add column delimiter text")
    op.execute(
        "comment on column bars.price_staging.header is"
        " 'The column that each cell of the lines in raw is for; null: the row is one line.'"
    )
    op.execute(
        "comment on column bars.price_staging.delimiter is 'What stands between the cells of raw.'"
    )
    op.execute(
        "comment on column bars.price_staging.line is"
        " 'The line''s number in its file, the header is 1; of several lines, the first''s.'"
    )
    op.execute(
        "comment on column bars.price_staging.raw is"
        " 'The line, cut at 2000 characters; with a header, whole lines that follow each other.'"
    )
    op.execute("alter table bars.cmc_price_histories7 alter column recorded_at drop default")
    op.execute("alter table bars.cmc_price_histories7 drop constraint cmc_price_histories7_id_fkey")
    # Of a few years' candles of an asset, most of the time went into a partition for each year.
    op.execute(CHUNKS.format("3650 days"))
    # The routine lane makes both triggers that take its place.
    op.execute("drop trigger if exists stamp on bars.cmc_price_histories7")


def downgrade() -> None:
    op.execute(CHUNKS.format("365 days"))
    op.execute("drop trigger if exists stamp on bars.cmc_price_histories7")
    op.execute("drop trigger if exists restamp on bars.cmc_price_histories7")
    for path, function in ROUTINES.items():
        if function:
            op.execute(f"drop function if exists {function}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute(
        "alter table bars.cmc_price_histories7 add foreign key (id) references bars.dim_assets"
    )
    op.execute("alter table bars.cmc_price_histories7 alter column recorded_at set default now()")
    op.execute(
        "comment on column bars.price_staging.raw is 'The whole line, cut at 2000 characters.'"
    )
    op.execute(
        "comment on column bars.price_staging.line is"
        " 'The line''s number in its file, the header is 1.'"
    )
    op.execute("alter table bars.price_staging drop column header, drop column delimiter")
