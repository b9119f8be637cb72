"""features: EMAs in a plain table without foreign keys, and the view with a row per period

Measured with 100 assets x 4000 days, 4.2 million rows: the checks of two foreign keys took four times
as long as the rows; as a hypertable of twelve chunks they took twice as long to write, and the two
previous rows of each row, which d1 and d2 are made of, four to five times as long to find.
Rows are derived: the table is made anew, and the next refresh fills it.
"""

from alembic import op

revision = "20261122_features_ema_view"
down_revision = "20261122_bars_ladder_bulk"

COMMENTS = {
    "id": "The asset.",
    "tf_id": "The timeframe, one that has bars.",
    "time_close": "The bar: when the values could first be known.",
    "ema": "One slot per row of dim_ema_periods, US dollars; null before the period has its bars.",
}

#: What an older checkout doesn't know.
ROUTINES = {
    "functions/features/ema_kernel.sql": (
        "features.ema_kernel(integer, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea[])"
    ),
    "functions/features/refresh_emas.sql": "features.refresh_emas(integer, timestamptz)",
    "functions/features/ema_roll.sql": "features.ema_roll(integer, text, timestamptz)",
}

#: A timeframe's name says how it is aligned: a constraint holds it to that. d1 and d2 are expressions of their own, so that who does not ask for them does not pay for them,
#: and who asks for the last row pays for one. offset 0 keeps the planner from reading the rows thrice.
VIEW = """
    create view features.cmc_ema_multi_tf_u as
    select
        e.id,
        e.time_close as ts,
        t.tf,
        p.period,
        e.ema[p.slot] as ema,
        false as roll,
        (
            select e.ema[p.slot] - c.ema[p.slot]
            from features.cmc_ema_multi_tf as c
            where c.id = e.id
              and c.tf_id = e.tf_id
              and c.time_close < e.time_close
            order by c.time_close desc
            limit 1
        ) as d1,
        (
            select (e.ema[p.slot] - b.ema[1]) - (b.ema[1] - b.ema[2])
            from (
                select array(
                    select c.ema[p.slot]
                    from features.cmc_ema_multi_tf as c
                    where c.id = e.id
                      and c.tf_id = e.tf_id
                      and c.time_close < e.time_close
                    order by c.time_close desc
                    limit 2
                ) as ema
                offset 0
            ) as b
        ) as d2,
        t.tf_days,
        coalesce(lower(substring(t.tf from '_(.*)')), 'trading') as alignment_source,
        t.calendar_scheme,
        e.tf_id,
        e.time_close as available_at
    from features.cmc_ema_multi_tf as e
    join timemodel.dim_timeframe as t on t.tf_id = e.tf_id
    cross join features.dim_ema_periods as p
"""


def make_table(*, references: bool) -> None:
    assets, timeframes = (
        (" references bars.dim_assets", " references timemodel.dim_timeframe")
        if references
        else ("", "")
    )
    op.execute("drop view published.cmc_ema_multi_tf")
    op.execute("drop table features.cmc_ema_multi_tf")
    op.execute(f"""
        create table features.cmc_ema_multi_tf (
            id         integer not null{assets},
            tf_id      integer not null{timeframes},
            time_close timestamptz not null,
            ema        double precision[] not null,
            primary key (id, tf_id, time_close)
        )
    """)
    op.execute(
        "comment on table features.cmc_ema_multi_tf is 'EMAs of the closes of closed bars; cmc_ema_multi_tf_u has a row per period.'"
    )
    for column, meaning in COMMENTS.items():
        op.execute(f"comment on column features.cmc_ema_multi_tf.{column} is '{meaning}'")
    op.execute("grant insert, update, delete on features.cmc_ema_multi_tf to ta_lab2_app")
    op.execute("""
        create view published.cmc_ema_multi_tf as
        select e.id, e.tf_id, e.time_close, e.ema
        from features.cmc_ema_multi_tf as e
    """)
    op.execute(
        "comment on view published.cmc_ema_multi_tf is 'features.cmc_ema_multi_tf, to be read.'"
    )


def upgrade() -> None:
    make_table(references=False)
    op.execute("""
        update ta_meta.table_class
        set time_column = null,
            chunk_interval = null
        where schema_name = 'features'
          and table_name = 'cmc_ema_multi_tf'
    """)
    # What stood in the table is to be worked out again.
    op.execute("delete from features.feature_state as s where s.feature_type = 'ema'")
    op.execute(
        "comment on column features.feature_state.fingerprint is"
        " 'features.fingerprints() of it when the rows were written: of its kernel, and its configuration.'"
    )
    op.execute(VIEW)
    op.execute(
        "comment on view features.cmc_ema_multi_tf_u is 'EMAs, a row per period: null before it has its bars. d1 and d2 are first and second differences to the bars before; roll is always false, features.ema_roll has the others.'"
    )
    op.execute("""
        create view published.cmc_ema_multi_tf_u as
        select
            u.id, u.ts, u.tf, u.period, u.ema, u.roll, u.d1, u.d2, u.tf_days,
            u.alignment_source, u.calendar_scheme, u.tf_id, u.available_at
        from features.cmc_ema_multi_tf_u as u
    """)
    op.execute(
        "comment on view published.cmc_ema_multi_tf_u is 'features.cmc_ema_multi_tf_u, to be read.'"
    )


def downgrade() -> None:
    for path, function in ROUTINES.items():
        op.execute(f"drop function if exists {function}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("drop view published.cmc_ema_multi_tf_u")
    op.execute("drop view features.cmc_ema_multi_tf_u")
    make_table(references=True)
    op.execute("""
        update ta_meta.table_class
        set time_column = 'time_close',
            chunk_interval = '365 days'
        where schema_name = 'features'
          and table_name = 'cmc_ema_multi_tf'
    """)
    op.execute("delete from features.feature_state as s where s.feature_type = 'ema'")
    op.execute(
        "comment on column features.feature_state.fingerprint is"
        " 'features.fingerprint() of its kernel when the rows were written.'"
    )
