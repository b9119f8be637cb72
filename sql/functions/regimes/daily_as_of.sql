-- regimes.daily_as_of(p_id, p_known_at): one asset's daily regimes as they were known at a moment, as rows of cmc_regimes_daily.
--
--     select r.ts, r.l2_key from regimes.daily_as_of(1, '2024-06-02 06:00+00') as r;
--
-- Worked out from the candles as they stood in the tables then, with the kernel of a refresh and without storing:
-- the same bits as a refresh at that moment, with today's layers, calendar and unit of volumes. With null, the
-- default, what is stored. Not in the order of time.
-- Runs as its owner: research reads what was known only through it.
--
-- requires: functions/regimes/regimes_kernel.sql, functions/features/bars_as_of.sql
-- requires: functions/features/ema_as_of.sql, functions/features/sessions_between.sql

create or replace function regimes.daily_as_of(p_id integer, p_known_at timestamptz default null)
returns setof regimes.cmc_regimes_daily
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_base  boolean;
    v_layers   jsonb;
    v_tf_ids   integer[];
    v_sessions record;
    v_bars     record;
begin
    if p_known_at is null then
        return query
        select r.*
        from regimes.cmc_regimes_daily as r
        where r.id = p_id;
        return;
    end if;
    select array_agg(c.ts) as candles, features.sessions_between(p_id, min(c.ts), max(c.ts)) as ts
    into v_sessions
    from bars.prices_as_of(p_known_at, array[p_id]) as c;
    if v_sessions.candles is null then
        return;
    end if;

    select jsonb_agg(to_jsonb(l) order by w.place), array_agg(t.tf_id) filter (where t.tf_id is not null)
    into v_layers, v_tf_ids
    from unnest('{L0,L1,L2}'::text[]) with ordinality as w (layer, place)
    left join regimes.dim_regime_layers as l on l.layer = w.layer
    left join timemodel.dim_timeframe as t on t.tf = l.tf and t.is_active;

    v_is_base := exists (
        select
        from bars.price_state as c
        join bars.dim_sources as d on d.source = c.source
        where c.id = p_id
          and d.volume_unit = 'base'
    );

    select
        array_send(array_agg(substr(l.layer, 2)::integer)) as place,
        array_send(array_agg(b.time_close)) as time_close,
        array_send(array_agg(b.high)) as high,
        array_send(array_agg(b.low)) as low,
        array_send(array_agg(b.close)) as close,
        array_send(
            array_agg(coalesce(case when v_is_base then b.volume * b.close else b.volume end, 'NaN'))
        ) as volume,
        array_send(array_agg(coalesce(e.ema[f.slot], 'NaN'))) as fast,
        array_send(array_agg(coalesce(e.ema[m.slot], 'NaN'))) as mid,
        array_send(array_agg(coalesce(e.ema[s.slot], 'NaN'))) as slow
    into v_bars
    from regimes.dim_regime_layers as l
    join timemodel.dim_timeframe as t on t.tf = l.tf
    left join features.dim_ema_periods as f on f.period = l.ema_fast
    left join features.dim_ema_periods as m on m.period = l.ema_mid
    left join features.dim_ema_periods as s on s.period = l.ema_slow
    join features.bars_as_of(p_id, v_tf_ids, p_known_at) as b on b.tf_id = t.tf_id
    left join features.ema_as_of(p_id, v_tf_ids, p_known_at) as e
        on e.tf_id = b.tf_id
        and e.time_close = b.time_close;

    return query
    with word as (
        select (u.row::regimes.cmc_regimes_daily).*
        from features.unpacked(
            'regimes.cmc_regimes_daily',
            (
                regimes.regimes_kernel(
                    p_id, v_layers, array_send(v_sessions.ts), array_send(v_sessions.ts),
                    array_send(
                        array(
                            select (c.ts is null)::integer
                            from unnest(v_sessions.ts) as s (ts)
                            left join unnest(v_sessions.candles) as c (ts) using (ts)
                            order by s.ts
                        )
                    ),
                    v_bars.place, v_bars.time_close, v_bars.high, v_bars.low, v_bars.close, v_bars.volume,
                    v_bars.fast, v_bars.mid, v_bars.slow, null, null
                )
            ).packed
        ) as u (row)
    )

    select
        w.id, w.ts, w.available_at, w.is_gap,
        w.l0_trend, w.l0_volatility, w.l0_liquidity,
        w.l1_trend, w.l1_volatility, w.l1_liquidity,
        w.l2_trend, w.l2_volatility, w.l2_liquidity,
        concat_ws('-', w.l0_trend, w.l0_volatility, w.l0_liquidity),
        concat_ws('-', w.l1_trend, w.l1_volatility, w.l1_liquidity),
        concat_ws('-', w.l2_trend, w.l2_volatility, w.l2_liquidity)
    from word as w;
end
$$;

comment on function regimes.daily_as_of(integer, timestamptz) is
    'Daily regimes of one asset from what was known at a moment; by default from what is stored.';

grant execute on function regimes.daily_as_of(integer, timestamptz) to ta_lab2_research;
