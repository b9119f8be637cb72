-- regimes.refresh_daily(p_id, p_from): bring one asset's daily regimes up to date, as what it did.
--
--     select d.rows_written from regimes.refresh_daily(1, '-infinity') as d;
--
-- A step of features.refresh_asset, under refresh_regimes. Sessions are those of cmc_returns_daily, so
-- both tables have the same rows. What comes after the last session of the run before goes on from
-- its state; anything earlier works the asset out anew, and what differs is written.
--
-- requires: functions/regimes/regimes_kernel.sql, functions/features/replace_rows.sql
-- requires: functions/bars/volume_unit.sql

create or replace function regimes.refresh_daily(p_id integer, p_from timestamptz)
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
-- The plan is kept for the session: one made when the tables were empty must serve full ones too.
set enable_seqscan = off
as $$
declare
    v_from         timestamptz;
    v_state        bytea;
    v_layers       jsonb;
    v_unit         text := bars.volume_unit(p_id);
    v_ts           bytea;
    v_available_at bytea;
    v_is_gap       bytea;
    v_bars         record;
    v_stored       bytea[];
    v_kernel       record;
begin
    select s.last_processed_ts, s.state
    into v_from, v_state
    from features.feature_state as s
    where s.id = p_id
      and s.feature_type = 'regimes'
      and s.last_processed_ts <= p_from;
    v_from := coalesce(v_from, '-infinity'::timestamptz);

    select jsonb_agg(to_jsonb(l) order by w.place)
    into v_layers
    from unnest('{L0,L1,L2}'::text[]) with ordinality as w (layer, place)
    left join regimes.dim_regime_layers as l on l.layer = w.layer;

    select
        array_send(array_agg(r.ts order by r.ts)),
        array_send(array_agg(r.available_at order by r.ts)),
        array_send(array_agg(r.is_gap::integer order by r.ts))
    into v_ts, v_available_at, v_is_gap
    from features.cmc_returns_daily as r
    where r.id = p_id
      and r.ts >= v_from;

    select
        count(*) as count,
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
            r.*
        from regimes.dim_regime_layers as l
        join timemodel.dim_timeframe as t on t.tf = l.tf
        left join features.dim_ema_periods as f on f.period = l.ema_fast
        left join features.dim_ema_periods as m on m.period = l.ema_mid
        left join features.dim_ema_periods as s on s.period = l.ema_slow
        -- offset 0: each layer is looked up by its key.
        cross join lateral (
            select
                b.time_close,
                b.high,
                b.low,
                b.close,
                coalesce(case when v_unit = 'base' then b.volume * b.close else b.volume end, 'NaN') as volume,
                coalesce(e.ema[f.slot], 'NaN') as fast,
                coalesce(e.ema[m.slot], 'NaN') as mid,
                coalesce(e.ema[s.slot], 'NaN') as slow
            from bars.cmc_price_bars_multi_tf as b
            left join features.cmc_ema_multi_tf as e
                on e.id = b.id
                and e.tf_id = b.tf_id
                and e.time_close = b.time_close
            where b.id = p_id
              and b.tf_id = t.tf_id
              and b.time_close >= v_from
            offset 0
        ) as r
    ) as b;

    -- As the kernel lays rows out: without the columns that are made from others.
    select array_agg(record_send(o))
    into v_stored
    from (
        select
            r.id, r.ts, r.available_at, r.is_gap,
            r.l0_trend, r.l0_volatility, r.l0_liquidity,
            r.l1_trend, r.l1_volatility, r.l1_liquidity,
            r.l2_trend, r.l2_volatility, r.l2_liquidity
        from regimes.cmc_regimes_daily as r
        where r.id = p_id
          and r.ts >= v_from
    ) as o;

    select k.*
    into v_kernel
    from regimes.regimes_kernel(
        p_id, v_layers, v_ts, v_available_at, v_is_gap, v_bars.place, v_bars.time_close,
        v_bars.high, v_bars.low, v_bars.close, v_bars.volume, v_bars.fast, v_bars.mid, v_bars.slow,
        v_state, v_stored
    ) as k;

    perform features.replace_rows(
        'regimes.cmc_regimes_daily', p_id, v_kernel.stale, v_kernel.packed
    );
    return query
    select
        v_bars.count, v_kernel.changed::bigint, v_kernel.unchanged::bigint, v_from,
        v_kernel.last_ts, v_kernel.state;
end
$$;

comment on function regimes.refresh_daily(integer, timestamptz) is
    'Brings cmc_regimes_daily up to date for one asset from a ts on; counts, range and progress for refresh_asset.';
