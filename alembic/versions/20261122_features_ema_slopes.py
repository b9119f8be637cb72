"""features: what d1 and d2 of an EMA follow from, in its own row

An average that moved by 2 / (n + 1) of its distance to the close has 2 / (n - 1) of the distance that
is left: its last step. With the close, the one before and the number of the bar a row tells d1 and d2
itself. Looking for two earlier rows of each took 45 times as long as the series without; storing
the differences would have more than doubled the table (204 for 88 MB) and its COPY.
Rows are derived: the table is made anew, and the next refresh fills it.
"""

from alembic import op

revision = "20261122_features_ema_slopes"
down_revision = "20261122_features_verbs"

COLUMNS = {
    "id": ("integer not null", "The asset."),
    "tf_id": ("integer not null", "The timeframe, one that has bars."),
    "time_close": (
        "timestamptz not null",
        "The bar: when the values could first be known.",
    ),
    "close": ("double precision not null", "The close of the bar."),
    "close_before": ("double precision", "That of the bar before; null: there is none."),
    "bar_no": (
        "integer not null",
        "How many bars of the timeframe there are up to this one, itself counted.",
    ),
    "ema": (
        "double precision[] not null",
        "One slot per row of dim_ema_periods, US dollars; null before the period has its bars.",
    ),
}
ADDED = ("close", "close_before", "bar_no")
OLD_KERNEL = (
    "features.ema_kernel(integer, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea[])"
)
NEW_KERNEL = (
    "features.ema_kernel("
    "integer, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea, bytea[])"
)

HEAD = "e.id, e.time_close as ts, t.tf, p.period, e.ema[p.slot] as ema, false as roll"
TAIL = """
        t.tf_days,
        coalesce(lower(substring(t.tf from '_(.*)')), 'trading') as alignment_source,
        t.calendar_scheme,
        e.tf_id,
        e.time_close as available_at
    from features.cmc_ema_multi_tf as e
    join timemodel.dim_timeframe as t on t.tf_id = e.tf_id
"""
#: The last step of an average is its rate times the distance that the close is away from it still.
VIEW = f"""
    select
        {HEAD},
        case
            when e.bar_no > p.period then p.rate * (e.close - e.ema[p.slot])
        end as d1,
        case
            when e.bar_no > p.period + 1 then
                p.rate * (e.close - e.ema[p.slot])
                - p.rate * (
                    e.close_before - (e.ema[p.slot] - p.rate * (e.close - e.ema[p.slot]))
                )
        end as d2,
        {TAIL}
    cross join (
        select d.slot, d.period, 2::double precision / (d.period - 1) as rate
        from features.dim_ema_periods as d
    ) as p
"""
VIEW_BEFORE = f"""
    select
        {HEAD},
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
        {TAIL}
    cross join features.dim_ema_periods as p
"""


def make(*, added: bool, view: str) -> None:
    columns = {name: what for name, what in COLUMNS.items() if added or name not in ADDED}
    op.execute("drop view published.cmc_ema_multi_tf_u")
    op.execute("drop view features.cmc_ema_multi_tf_u")
    op.execute("drop view published.cmc_ema_multi_tf")
    op.execute("drop table features.cmc_ema_multi_tf")
    op.execute(
        "create table features.cmc_ema_multi_tf ("
        + ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
        + ", primary key (id, tf_id, time_close))"
    )
    op.execute(
        "comment on table features.cmc_ema_multi_tf is 'EMAs of the closes of closed bars; cmc_ema_multi_tf_u has a row per period.'"
    )
    for name, (_, meaning) in columns.items():
        op.execute(f"comment on column features.cmc_ema_multi_tf.{name} is '{meaning}'")
    op.execute("grant insert, update, delete on features.cmc_ema_multi_tf to ta_lab2_app")
    op.execute(
        "create view published.cmc_ema_multi_tf as select "
        + ", ".join(f"e.{name}" for name in columns)
        + " from features.cmc_ema_multi_tf as e"
    )
    op.execute(
        "comment on view published.cmc_ema_multi_tf is 'features.cmc_ema_multi_tf, to be read.'"
    )
    # What stood in the table is to be worked out again.
    op.execute("delete from features.feature_state as s where s.feature_type = 'ema'")
    op.execute(f"create view features.cmc_ema_multi_tf_u as {view}")
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


def upgrade() -> None:
    op.execute(f"drop function if exists {OLD_KERNEL}")
    make(added=True, view=VIEW)


def downgrade() -> None:
    op.execute(f"drop function if exists {NEW_KERNEL}")
    op.execute(
        "delete from ta_meta.routine_file as f"
        " where f.path in ('functions/features/ema_kernel.sql', 'functions/features/refresh_emas.sql')"
    )
    make(added=False, view=VIEW_BEFORE)
