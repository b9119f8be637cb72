-- features.refresh_store(p_ids, p_froms): bring assets' rows of the daily feature store up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_store('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets. The rows after the last candle before its from are joined anew from
-- the sources' tables as they stand, and written where they differ, to the bit. It has come as far as
-- the source that is furthest behind, so one that was not refreshed, or never, is looked at again.
-- No kernel: the database joins faster than rows go to a program and back.
--
-- requires: functions/features/daily_features.sql, functions/features/sessions_between.sql

-- How far the sources have come. EMAs stand on bars, and tell of themselves by a dirty range.
create or replace function features._sources_processed(p_ids integer[])
returns table (id integer, last_ts timestamptz)
language sql
stable parallel unsafe
as $$
select a.id, case when count(s.last_processed_ts) = count(*) then min(s.last_processed_ts) end
from unnest(p_ids) as a (id)
cross join unnest('{bars,returns,volatility,indicators}'::text[]) as c (feature_type)
left join features.feature_state as s
    on s.id = a.id
    and s.feature_type = c.feature_type
group by a.id
$$;

comment on function features._sources_processed(integer[]) is
    'Private: the last candle of the source that is furthest behind, of each asset; null where one has none.';

-- Of each table the bounds come first: only those that are known before the read leave partitions out.
create or replace function features._joined_rows(
    p_ids integer[],
    p_after timestamptz,
    p_due_ids integer[],
    p_due_ts timestamptz[],
    p_classes text[],
    p_tf_id integer,
    p_slots integer[],
    p_own text[]
)
returns setof features.cmc_daily_features
language sql
stable parallel unsafe
as $$
select d.*
from unnest(p_due_ids, p_due_ts, p_classes) as s (id, ts, class)
left join bars.cmc_price_histories7 as c
    on c.id = any (p_ids) and c.ts > p_after and c.id = s.id and c.ts = s.ts
left join features.cmc_returns_daily as r
    on r.id = any (p_ids) and r.ts > p_after and r.id = s.id and r.ts = s.ts
left join features.cmc_vol_daily as v
    on v.id = any (p_ids) and v.ts > p_after and v.id = s.id and v.ts = s.ts
left join features.cmc_ta_daily as t
    on t.id = any (p_ids) and t.ts > p_after and t.id = s.id and t.ts = s.ts
left join features.cmc_ema_multi_tf as e
    on e.id = any (p_ids)
    and e.tf_id = p_tf_id
    and e.time_close > p_after
    and e.id = s.id
    and e.time_close = s.ts
cross join lateral features._daily_row(s.id, s.ts, s.class, p_slots, p_own, c, r, v, t, e) as d
$$;

comment on function features._joined_rows(
    integer[], timestamptz, integer[], timestamptz[], text[], integer, integer[], text[]
) is 'Private: the rows of the store for some assets and sessions, all later than p_after.';

create or replace function features.refresh_store(p_ids integer[], p_froms timestamptz[])
returns table (
    id integer,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language plpgsql
volatile parallel unsafe
-- The plans are kept for the session: those made when the tables were empty must serve full ones too.
set enable_seqscan = off
set enable_nestloop = off
as $$
declare
    v_layout record;
    v_read   record;
    v_due    record;
    v_gone   integer[];
    v_came   integer[];
begin
    select l.* into v_layout from features._daily_layout() as l;
    -- As in refresh_returns, rows after the last candle before from_ts may come, change or go.
    select
        array_agg(a.id order by a.place) as ids,
        array_agg(i.session_id order by a.place) as classes,
        array_agg(f.after_ts order by a.place) as after,
        array_agg(c.first_ts order by a.place) as firsts,
        array_agg(c.last_ts order by a.place) as lasts,
        array_agg(c.candles order by a.place) as candles,
        min(f.after_ts) as least
    into v_read
    from unnest(p_ids, p_froms) with ordinality as a (id, from_ts, place)
    join bars.dim_assets as i on i.id = a.id
    cross join lateral (
        select coalesce(max(b.ts), '-infinity') as after_ts
        from bars.cmc_price_histories7 as b
        where b.id = a.id
          and b.ts < a.from_ts
    ) as f
    cross join lateral (
        select min(b.ts) as first_ts, max(b.ts) as last_ts, count(*) as candles
        from bars.cmc_price_histories7 as b
        where b.id = a.id
          and b.ts > f.after_ts
    ) as c;

    with assets as (
        select
            a.id, a.class, a.after_ts, a.last_ts,
            case when a.after_ts = '-infinity' then a.first_ts else a.after_ts end as first_ts
        from unnest(v_read.ids, v_read.classes, v_read.after, v_read.firsts, v_read.lasts)
            as a (id, class, after_ts, first_ts, last_ts)
    ),

    calendars as materialized (
        select c.class, s.ts
        from (
            select a.class, features.sessions_between(a.class, min(a.first_ts), max(a.last_ts)) as sessions
            from assets as a
            group by a.class
        ) as c
        cross join lateral unnest(c.sessions) as s (ts)
    )

    select
        array_agg(a.id order by a.id, s.ts) as ids,
        array_agg(s.ts order by a.id, s.ts) as ts,
        array_agg(a.class order by a.id, s.ts) as classes
    into v_due
    from assets as a
    join calendars as s
        on s.class = a.class
        and s.ts > a.after_ts
        and s.ts between a.first_ts and a.last_ts;

    with others as materialized (
        select o.id, o.ts, j.id is null as is_gone
        from unnest(v_read.ids, v_read.after) as a (id, after_ts)
        join features.cmc_daily_features as o
            on o.id = any (p_ids) and o.ts > v_read.least and o.id = a.id and o.ts > a.after_ts
        left join features._joined_rows(
            p_ids, v_read.least, v_due.ids, v_due.ts, v_due.classes,
            v_layout.tf_id, v_layout.slots, v_layout.own
        ) as j on j.id = o.id and j.ts = o.ts
        where j.id is null
           or o *<> j
    ),

    deleted as (
        delete from features.cmc_daily_features as f
        using others as o
        where f.id = o.id
          and f.ts = o.ts
        returning f.id, o.is_gone
    )

    select array_agg(d.id) filter (where d.is_gone)
    into v_gone
    from deleted as d;

    with written as (
        insert into features.cmc_daily_features
        select j.*
        from features._joined_rows(
            p_ids, v_read.least, v_due.ids, v_due.ts, v_due.classes,
            v_layout.tf_id, v_layout.slots, v_layout.own
        ) as j
        where not exists (
            select
            from features.cmc_daily_features as o
            where o.id = any (p_ids)
              and o.ts > v_read.least
              and o.id = j.id
              and o.ts = j.ts
        )
        returning cmc_daily_features.id
    )

    select array_agg(w.id)
    into v_came
    from written as w;

    return query
    select a.id, a.candles, c.came + g.gone, d.due - c.came, a.after_ts, s.last_ts, null::bytea
    from unnest(v_read.ids, v_read.candles, v_read.after) as a (id, candles, after_ts)
    join features._sources_processed(p_ids) as s on s.id = a.id
    cross join lateral (select count(*) as due from unnest(v_due.ids) as u (id) where u.id = a.id) as d
    cross join lateral (select count(*) as came from unnest(v_came) as u (id) where u.id = a.id) as c
    cross join lateral (select count(*) as gone from unnest(v_gone) as u (id) where u.id = a.id) as g;
end
$$;

comment on function features.refresh_store(integer[], timestamptz[]) is
    'Brings cmc_daily_features up to date for assets, each from a ts on; counts, range and progress for refresh_assets.';
