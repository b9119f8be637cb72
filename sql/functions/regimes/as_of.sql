-- regimes.as_of(p_asset_ids, p_at, p_known_at): the regimes and the policy that were known at a moment of the market, a row per asset.
--
--     select * from regimes.as_of();
--     select r.l2_key, r.setups from regimes.as_of('{1}', '2024-01-01') as r;
--     select r.l2_key from regimes.as_of(p_known_at => '2024-06-02 06:00+00') as r;
--
-- Two clocks, as features.as_of has them. p_at is market time: the last row of cmc_regimes_daily with
-- available_at <= p_at, by default the last one. p_known_at is knowledge time: null, the default, reads what is stored;
-- any other moment takes the candles as they stood then and works bars, EMAs and regimes out from them with the
-- kernels of a refresh, to the same bits. Layers, policy, periods and calendar are today's.
-- An asset without such a row has no row here.
-- Runs as its owner: research reads regimes only through it, so that it can't look past p_at.
--
-- requires: functions/regimes/policy.sql, functions/features/as_of.sql
-- requires: functions/features/ema_as_of.sql, functions/regimes/regimes_kernel.sql

create or replace function regimes._as_known(p_id integer, p_known_at timestamptz)
returns table (
    ts timestamptz,
    available_at timestamptz,
    is_gap boolean,
    l0_key text,
    l1_key text,
    l2_key text
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_layers   jsonb;
    v_is_base  boolean;
    v_sessions record;
    v_bars     record;
    v_packed   bytea;
begin
    select jsonb_agg(to_jsonb(l) order by w.place)
    into v_layers
    from unnest('{L0,L1,L2}'::text[]) with ordinality as w (layer, place)
    left join regimes.dim_regime_layers as l on l.layer = w.layer;
    v_is_base := exists (
        select
        from bars.price_state as c
        join bars.dim_sources as d on d.source = c.source
        where c.id = p_id
          and d.volume_unit = 'base'
    );

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
                case when v_is_base then (k.bar).volume * (k.bar).close else (k.bar).volume end, 'NaN'
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
        r.ts, r.available_at, r.is_gap,
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

comment on function regimes._as_known(integer, timestamptz) is
    'Private: one asset''s regimes by session, worked out from its candles as they stood at a moment.';

create or replace function regimes.as_of(
    p_asset_ids integer[] default null,
    p_at timestamptz default 'infinity',
    p_known_at timestamptz default null
)
returns table (
    id integer,
    ts timestamptz,
    available_at timestamptz,
    is_gap boolean,
    l0_key text,
    l1_key text,
    l2_key text,
    size double precision,
    stop double precision,
    setups text[],
    stand_down boolean
)
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_at is null then
        raise exception 'no moment is given'
            using errcode = 'TAR03',
                  detail = 'p_at is null.',
                  hint = 'Give the moment, or leave it out for the last row.';
    end if;
    return query
    select
        a.id, r.ts, r.available_at, r.is_gap, r.l0_key, r.l1_key, r.l2_key,
        p.size, p.stop, p.setups, p.stand_down
    from unnest(features._assets_known(p_asset_ids, p_known_at)) as a (id)
    cross join lateral (
        select d.*
        from (
            select s.ts, s.available_at, s.is_gap, s.l0_key, s.l1_key, s.l2_key
            from regimes.cmc_regimes_daily as s
            where p_known_at is null
              and s.id = a.id
            union all
            select k.ts, k.available_at, k.is_gap, k.l0_key, k.l1_key, k.l2_key
            from regimes._as_known(a.id, p_known_at) as k
            where p_known_at is not null
        ) as d
        where d.available_at <= p_at
        order by d.ts desc
        limit 1
    ) as r
    cross join lateral regimes.policy(array[r.l0_key, r.l1_key, r.l2_key]) as p
    order by a.id;
end
$$;

comment on function regimes.as_of(integer[], timestamptz, timestamptz) is
    'Last regimes of assets that were available at a market time, from what was known at a moment, and what they allow together.';

grant execute on function regimes.as_of(integer[], timestamptz, timestamptz) to ta_lab2_research;
