-- regimes.daily_as_of(p_id, p_known_at): one asset's daily regimes as they were known at a moment, as rows of cmc_regimes_daily.
--
--     select r.ts, r.l2_key from regimes.daily_as_of(1, '2024-06-02 06:00+00') as r;
--
-- Worked out from the candles as they stood in the tables then, with the kernels of a refresh and without storing:
-- the same bits as a refresh at that moment, with today's layers, periods, calendar and unit of volumes. With null, the
-- default, what is stored. Not in the order of time.
-- Runs as its owner: research reads what was known only through it.
--
-- requires: functions/regimes/regimes_kernel.sql, functions/features/ema_as_of.sql
-- requires: functions/bars/volume_unit.sql

create or replace function regimes.daily_as_of(p_id integer, p_known_at timestamptz default null)
returns setof regimes.cmc_regimes_daily
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_layers   jsonb;
    v_unit     text := bars.volume_unit(p_id);
    v_sessions record;
    v_bars     record;
    v_packed   bytea;
begin
    if p_known_at is null then
        return query
        select r.*
        from regimes.cmc_regimes_daily as r
        where r.id = p_id;
        return;
    end if;
    select jsonb_agg(to_jsonb(l) order by w.place)
    into v_layers
    from unnest('{L0,L1,L2}'::text[]) with ordinality as w (layer, place)
    left join regimes.dim_regime_layers as l on l.layer = w.layer;

    -- A session's row is that of the returns: known at its end, a gap where there is no candle.
    with candles as (
        select array_agg(p.ts) as ts, min(p.ts) as first_ts, max(p.ts) as last_ts
        from bars.prices_as_of(p_known_at, array[p_id]) as p
    )

    select
        array_send(array_agg(s.ts order by s.ts)) as ts,
        array_send(array_agg((s.ts <> all (c.ts))::integer order by s.ts)) as is_gap
    into v_sessions
    from candles as c
    cross join unnest(features.sessions_between(p_id, c.first_ts, c.last_ts)) as s (ts);

    select
        array_send(array_agg(b.place)) as place,
        array_send(array_agg(b.time_close)) as time_close,
        array_send(array_agg(b.high)) as high,
        array_send(array_agg(b.low)) as low,
        array_send(array_agg(b.close)) as close,
        array_send(array_agg(b.volume)) as volume,
        array_send(array_agg(b.fast)) as fast,
        array_send(array_agg(b.mid)) as mid,
        array_send(array_agg(b.slow)) as slow
    into v_bars
    from (
        select
            substr(l.layer, 2)::integer as place,
            (k.bar).time_close,
            (k.bar).high,
            (k.bar).low,
            (k.bar).close,
            coalesce(
                case when v_unit = 'base' then (k.bar).volume * (k.bar).close else (k.bar).volume end, 'NaN'
            ) as volume,
            coalesce((k.emas).ema[f.slot], 'NaN') as fast,
            coalesce((k.emas).ema[m.slot], 'NaN') as mid,
            coalesce((k.emas).ema[s.slot], 'NaN') as slow
        from features._ladder_as_known(
            p_id,
            array(
                select distinct t.tf_id
                from regimes.dim_regime_layers as l
                join timemodel.dim_timeframe as t on t.tf = l.tf
                where t.is_active
            ),
            p_known_at
        ) as k
        join timemodel.dim_timeframe as t on t.tf_id = (k.bar).tf_id
        join regimes.dim_regime_layers as l on l.tf = t.tf
        left join features.dim_ema_periods as f on f.period = l.ema_fast
        left join features.dim_ema_periods as m on m.period = l.ema_mid
        left join features.dim_ema_periods as s on s.period = l.ema_slow
    ) as b;

    v_packed := (
        regimes.regimes_kernel(
            p_id, v_layers, v_sessions.ts, v_sessions.ts, v_sessions.is_gap, v_bars.place, v_bars.time_close,
            v_bars.high, v_bars.low, v_bars.close, v_bars.volume, v_bars.fast, v_bars.mid, v_bars.slow,
            null, null
        )
    ).packed;
    return query
    select
        r.id, r.ts, r.available_at, r.is_gap,
        r.l0_trend, r.l0_volatility, r.l0_liquidity,
        r.l1_trend, r.l1_volatility, r.l1_liquidity,
        r.l2_trend, r.l2_volatility, r.l2_liquidity,
        concat_ws('-', r.l0_trend, r.l0_volatility, r.l0_liquidity),
        concat_ws('-', r.l1_trend, r.l1_volatility, r.l1_liquidity),
        concat_ws('-', r.l2_trend, r.l2_volatility, r.l2_liquidity)
    from (
        select (u.row::regimes.cmc_regimes_daily).*
        from features.unpacked('regimes.cmc_regimes_daily', v_packed) as u (row)
        where v_packed is not null
    ) as r;
end
$$;

comment on function regimes.daily_as_of(integer, timestamptz) is
    'Daily regimes of one asset from what was known at a moment; by default from what is stored.';

grant execute on function regimes.daily_as_of(integer, timestamptz) to ta_lab2_research;
