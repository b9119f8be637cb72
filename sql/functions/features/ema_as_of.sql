-- features.ema_as_of(p_asset_ids, p_tf, p_at, p_known_at): EMAs of a timeframe as they were known, a row per asset, bar and period.
--
--     select e.ts, e.ema from features.ema_as_of('{1}', '1W_CAL_ISO', '2024-06-01') as e where e.period = 20;
--     select e.* from features.ema_as_of('{1,1027}', '5D', p_known_at => '2024-06-02 06:00+00') as e;
--
-- Two clocks, as features.as_of has them. p_at is market time: bars that had ended by then. p_known_at is knowledge
-- time: null, the default, reads what is stored; any other moment takes the candles as they stood then
-- (bars.prices_as_of), makes the bars and their EMAs from them with the kernels of a refresh, and stores nothing: the
-- same bits as a refresh at that moment, with today's periods and calendar. Then the timeframe need not be active.
-- All assets by default; with p_known_at, all that had been loaded by then. An ema is null before it has its bars.
--
-- requires: functions/features/as_of.sql, functions/features/unpacked.sql, functions/bars/ladder.sql
-- requires: functions/features/ema_kernel.sql, functions/timemodel/timeframe.sql

create or replace function features._ladder_as_known(p_id integer, p_tf_ids integer[], p_known_at timestamptz)
returns table (bar bars.cmc_price_bars_multi_tf, emas features.cmc_ema_multi_tf)
language plpgsql
stable parallel unsafe
-- The plan is kept for the session and must serve thousands of bars too, not the few that it guesses.
set enable_nestloop = off
as $$
declare
    v_bars   bars.cmc_price_bars_multi_tf[];
    v_emas   features.cmc_ema_multi_tf[];
    v_inputs record;
begin
    select array_agg(u.row::bars.cmc_price_bars_multi_tf)
    into v_bars
    from bars.ladder(
        array[p_id], p_tf_ids,
        array[(select min(p.ts) from bars.prices_as_of(p_known_at, array[p_id]) as p)],
        '{-infinity}', null, p_known_at => p_known_at
    ) as l
    cross join lateral features.unpacked('bars.cmc_price_bars_multi_tf', l.packed) as u (row)
    where l.packed is not null;

    select
        array_send(array_agg(b.tf_id)) as tf_id,
        array_send(array_agg(b.time_close)) as time_close,
        array_send(array_agg(b.close)) as close,
        (
            -- 0: a slot that is not used.
            select array_send(array_agg(coalesce(p.period, 0) order by n.slot))
            from generate_series(1, (select max(p.slot) from features.dim_ema_periods as p)) as n (slot)
            left join features.dim_ema_periods as p using (slot)
        ) as periods
    into v_inputs
    from unnest(v_bars) as b;
    select array_agg(u.row::features.cmc_ema_multi_tf)
    into v_emas
    from features.ema_kernel(
        array[p_id], v_inputs.periods, array[p_id], array[v_inputs.tf_id],
        array[v_inputs.time_close], array[v_inputs.close],
        null, null, null, null, null, array_send(array[timestamptz '-infinity']), null
    ) as k
    cross join lateral features.unpacked('features.cmc_ema_multi_tf', k.packed) as u (row)
    where k.packed is not null;
    return query
    select b, e
    from unnest(v_bars) as b
    join unnest(v_emas) as e on e.tf_id = b.tf_id and e.time_close = b.time_close;
end
$$;

comment on function features._ladder_as_known(integer, integer[], timestamptz) is
    'Private: one asset''s bars of some timeframes and their EMAs, worked out from its candles as they stood at a moment.';

create or replace function features.ema_as_of(
    p_asset_ids integer[],
    p_tf text,
    p_at timestamptz default 'infinity',
    p_known_at timestamptz default null
)
returns table (
    id integer,
    ts timestamptz,
    tf text,
    period integer,
    ema double precision,
    close double precision,
    bar_no integer,
    tf_id integer,
    available_at timestamptz
)
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ids integer[] := features._assets_known(p_asset_ids, p_known_at);
    v_tf  timemodel.dim_timeframe := timemodel.timeframe(p_tf);
begin
    if p_at is null then
        raise exception 'no market time is given'
            using errcode = 'TA419',
                  detail = 'p_at is null.',
                  hint = 'Leave it away for all rows, or give the moment that nothing may be later than.';
    end if;
    return query
    select
        r.id, r.time_close, v_tf.tf, p.period, r.ema[p.slot], r.close, r.bar_no, r.tf_id, r.time_close
    from (
        select e.*
        from features.cmc_ema_multi_tf as e
        where p_known_at is null
          and e.id = any (v_ids)
          and e.tf_id = v_tf.tf_id
        union all
        select (k.emas).*
        from unnest(v_ids) as a (id)
        cross join lateral features._ladder_as_known(a.id, array[v_tf.tf_id], p_known_at) as k
        where p_known_at is not null
    ) as r
    cross join features.dim_ema_periods as p
    where r.time_close <= p_at
    order by r.id, r.time_close, p.period;
end
$$;

comment on function features.ema_as_of(integer[], text, timestamptz, timestamptz) is
    'EMAs of a timeframe that were available at a market time, from what was known at a moment; by default from what is stored.';

grant execute on function features.ema_as_of(integer[], text, timestamptz, timestamptz) to ta_lab2_research;
