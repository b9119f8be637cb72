-- features.refresh_store(p_id, p_from): bring one asset's rows of the daily feature store up to date, as what it did.
--
--     select d.rows_written from features.refresh_store(1, '-infinity') as d;
--
-- A step of features.refresh_assets. The rows after the last candle before p_from are joined anew from
-- the sources' tables as they stand, and written where they differ, to the bit. It has come as far as
-- the source that is furthest behind, so one that was not refreshed, or never, is looked at again.
--
-- requires: functions/features/daily_features.sql, functions/features/sessions_between.sql

-- How far the sources have come. EMAs stand on bars, and tell of themselves by a dirty range.
create or replace function features._sources_processed(p_id integer)
returns timestamptz
language plpgsql
stable parallel unsafe
as $$
begin
    return (
        select case when count(s.last_processed_ts) = count(*) then min(s.last_processed_ts) end
        from unnest('{bars,returns,volatility,indicators}'::text[]) as c (feature_type)
        left join features.feature_state as s
            on s.id = p_id
            and s.feature_type = c.feature_type
    );
end
$$;

comment on function features._sources_processed(integer) is
    'Private: the last candle of the source that is furthest behind; null where one has none.';

create or replace function features.refresh_store(p_id integer, p_from timestamptz)
returns table (
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language plpgsql
volatile parallel unsafe
-- The plan is kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
declare
    v_after timestamptz;
    v_tf_id integer;
    v_last  timestamptz := features._sources_processed(p_id);
    v_found record;
begin
    -- As in refresh_returns, rows after the last candle before p_from may come, change or go.
    select coalesce(max(b.ts), '-infinity')
    into v_after
    from bars.cmc_price_histories7 as b
    where b.id = p_id
      and b.ts < p_from;
    select t.tf_id into v_tf_id from timemodel.dim_timeframe as t where t.tf = '1D';

    with candles as (
        select array_agg(b) as candles, min(b.ts) as first_ts, max(b.ts) as last_ts, count(*) as read
        from bars.cmc_price_histories7 as b
        where b.id = p_id
          and b.ts > v_after
    ),

    joined as (
        select d as features, d.ts
        from candles as c
        cross join lateral features.daily_features(
            p_id,
            array(
                select s.ts
                from unnest(
                    features.sessions_between(
                        p_id, case when v_after = '-infinity' then c.first_ts else v_after end, c.last_ts
                    )
                ) as s (ts)
                where s.ts > v_after
            ),
            c.candles,
            array(
                select r from features.cmc_returns_daily as r where r.id = p_id and r.ts > v_after
            ),
            array(
                select v from features.cmc_vol_daily as v where v.id = p_id and v.ts > v_after
            ),
            array(
                select t from features.cmc_ta_daily as t where t.id = p_id and t.ts > v_after
            ),
            array(
                select e
                from features.cmc_ema_multi_tf as e
                where e.id = p_id
                  and e.tf_id = v_tf_id
                  and e.time_close > v_after
            )
        ) as d
    ),

    stored as (
        select f as features, f.ts
        from features.cmc_daily_features as f
        where f.id = p_id
          and f.ts > v_after
    )

    select
        array_agg(j.features) filter (
            where j.ts is not null and (s.ts is null or j.features *<> s.features)
        ) as rows,
        array_agg(s.ts) filter (
            where s.ts is not null and (j.ts is null or j.features *<> s.features)
        ) as stale,
        count(*) filter (where j.features *= s.features) as unchanged,
        count(*) filter (where j.ts is null or s.ts is null or j.features *<> s.features) as changed,
        (select c.read from candles as c) as read
    into v_found
    from joined as j
    full join stored as s on s.ts = j.ts;

    if v_found.stale is not null then
        delete from features.cmc_daily_features as f
        where f.id = p_id
          and f.ts = any (v_found.stale);
    end if;
    if v_found.rows is not null then
        insert into features.cmc_daily_features
        select r.* from unnest(v_found.rows) as r;
    end if;
    return query
    select v_found.read, v_found.changed, v_found.unchanged, v_after, v_last, null::bytea;
end
$$;

comment on function features.refresh_store(integer, timestamptz) is
    'Brings cmc_daily_features up to date for one asset from a ts on; counts, range and progress for refresh_assets.';
