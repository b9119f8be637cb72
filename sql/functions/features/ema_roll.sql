-- features.ema_roll(p_id, p_tf, p_at): EMAs as if the unfinished bar closed with the last observed day, a row per period.
--
--     select r.period, r.ema, r.d1 from features.ema_roll(1, '1W_CAL_ISO') as r;
--     select r.* from features.ema_roll(1, '5D', '2024-01-01') as r;
--
-- The columns are those of cmc_ema_multi_tf_u, roll is true. The last observed day is that of the last
-- candle by p_at (default: all of them) that a refresh has seen; where a bar of the timeframe ends
-- with it there is nothing to preview and no row. ema goes on from the last closed one and is what
-- would be stored if the bar closed there, null until the period has a closed one; d1 is ema less
-- that, d2 is null. Only what was available at p_at is used.
--
-- requires: functions/features/assets_to_refresh.sql, functions/timemodel/timeframe.sql

create or replace function features.ema_roll(p_id integer, p_tf text, p_at timestamptz default 'infinity')
returns table (
    id integer,
    ts timestamptz,
    tf text,
    period integer,
    ema double precision,
    roll boolean,
    d1 double precision,
    d2 double precision,
    tf_days integer,
    alignment_source text,
    calendar_scheme text,
    tf_id integer,
    available_at timestamptz
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_tf    timemodel.dim_timeframe;
    v_ts    timestamptz;
    v_close double precision;
begin
    perform features._known_assets(array[p_id]);
    v_tf := timemodel.timeframe(p_tf);

    select b.ts, b.close
    into v_ts, v_close
    from features.feature_state as s
    join bars.cmc_price_histories7 as b on b.id = s.id and b.ts <= least(p_at, s.last_processed_ts)
    where s.id = p_id
      and s.feature_type = 'bars'
    order by b.ts desc
    limit 1;
    if not found or exists (
        select
        from bars.cmc_price_bars_multi_tf as b
        where b.id = p_id
          and b.tf_id = v_tf.tf_id
          and b.time_close = v_ts
    ) then
        return;
    end if;

    return query
    select
        p_id,
        v_ts,
        v_tf.tf,
        p.period,
        r.ema,
        true,
        r.ema - c.ema,
        null::double precision,
        v_tf.tf_days,
        coalesce(lower(substring(v_tf.tf from '_(.*)')), 'trading'),
        v_tf.calendar_scheme,
        v_tf.tf_id,
        v_ts
    from features.dim_ema_periods as p
    left join lateral (
        select e.ema[p.slot] as ema
        from features.cmc_ema_multi_tf as e
        where e.id = p_id
          and e.tf_id = v_tf.tf_id
          and e.time_close < v_ts
        order by e.time_close desc
        limit 1
    ) as c on true
    -- Rounded as the kernel does it.
    cross join lateral (
        select c.ema + 2::double precision / (p.period + 1) * (v_close - c.ema) as ema
    ) as r
    order by p.period;
end
$$;

comment on function features.ema_roll(integer, text, timestamptz) is
    'EMAs of one asset and timeframe as if the unfinished bar closed with the last observed day at p_at, a row per period.';
