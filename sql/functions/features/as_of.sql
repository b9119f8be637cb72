-- features.as_of(p_asset_ids, p_at, p_known_at): the daily features as they were known, as rows of cmc_daily_features.
--
--     select f.ts, f.close, f.rsi_14 from features.as_of('{1}', '2024-06-01') as f;
--     select f.* from features.as_of('{1,1027}', p_known_at => '2024-06-02 06:00+00') as f;
--
-- Two clocks. p_at is market time: only rows that were available by then, all of them by default. p_known_at is
-- knowledge time: with null, the default, what is stored is read. Any other moment takes the candles as they
-- stood in the tables then (bars.prices_as_of) and works all features out from them, with the kernels of
-- a refresh and without storing: the same bits as a refresh at that moment, with today's configuration
-- and calendar. An asset whose prices were first loaded later is an error.
-- All assets by default; with p_known_at, all that had been loaded by then.
--
-- requires: functions/features/assets_to_refresh.sql, functions/features/daily_features.sql
-- requires: functions/features/unpacked.sql, functions/bars/prices_as_of.sql
-- requires: functions/features/returns_kernel.sql, functions/features/vol_kernel.sql
-- requires: functions/features/indicators_kernel.sql, functions/features/refresh_indicators.sql
-- requires: functions/features/ema_kernel.sql, functions/features/sessions_between.sql
-- requires: functions/bars/volume_unit.sql

create or replace function features._as_known(p_id integer, p_known_at timestamptz)
returns setof features.cmc_daily_features
language plpgsql
stable parallel unsafe
as $$
declare
    c_begin   constant bytea := array_send(array['-infinity'::timestamptz]);
    v_unit    text := bars.volume_unit(p_id);
    v_candles record;
    v_sizes   record;
    v_layout  record;
    v_for_returns features.dim_features;
    v_for_vol     features.dim_features;
    v_returns bytea;
    v_vol     bytea;
    v_ta      bytea;
    v_emas    bytea;
begin
    select
        array_agg(
            row(
                p.id, p.ts, p.open, p.high, p.low, p.close, p.volume, p.market_cap,
                p.time_high, p.time_low, p.recorded_at
            )::bars.cmc_price_histories7
        ) as rows,
        count(*)::integer as count,
        features.sessions_between(p_id, min(p.ts), max(p.ts)) as sessions,
        array_send(array_agg(p.ts order by p.ts)) as ts,
        array_send(array_agg(p.open order by p.ts)) as open,
        array_send(array_agg(p.high order by p.ts)) as high,
        array_send(array_agg(p.low order by p.ts)) as low,
        array_send(array_agg(p.close order by p.ts)) as close,
        array_send(array_agg(coalesce(
            case when v_unit = 'quote' then p.volume / p.close else p.volume end, 'NaN'
        ) order by p.ts)) as volume
    into v_candles
    from bars.prices_as_of(p_known_at, array[p_id]) as p;
    if v_candles.count = 0 then
        return;
    end if;

    select
        d.annualisation_days as year,
        (select f.null_policy from features.dim_features as f where f.feature_type = 'indicators') as policy,
        (select t.tf_id from timemodel.dim_timeframe as t where t.tf = '1D' and t.is_active) as tf_id,
        (
            -- 0: a slot that is not used.
            select array_send(array_agg(coalesce(p.period, 0) order by n.slot))
            from generate_series(1, (select max(p.slot) from features.dim_ema_periods as p)) as n (slot)
            left join features.dim_ema_periods as p using (slot)
        ) as periods
    into v_sizes
    from bars.dim_assets as a
    join timemodel.dim_sessions as d on d.session_id = a.session_id
    where a.id = p_id;
    select f.* into v_for_returns from features.dim_features as f where f.feature_type = 'returns';
    select f.* into v_for_vol from features.dim_features as f where f.feature_type = 'volatility';
    select l.* into v_layout from features._indicator_layout() as l;

    v_returns := (
        features.returns_kernel(
            array[p_id], '{1}', array[array_send(v_candles.sessions)], array[v_candles.ts],
            array[v_candles.close], '{t}', c_begin, null,
            v_for_returns.look_back, v_for_returns.outlier_sigmas, v_for_returns.outlier_fence
        )
    ).packed;
    v_vol := (
        features.vol_kernel(
            array[p_id], array[v_sizes.year], '{1}', array[array_send(v_candles.sessions)],
            array[v_candles.ts], array[v_candles.open], array[v_candles.high], array[v_candles.low],
            array[v_candles.close], '{t}', c_begin, '{null}', null,
            v_for_vol.null_policy, v_for_vol.look_back, v_for_vol.outlier_sigmas, v_for_vol.outlier_fence
        )
    ).packed;
    v_ta := (
        features.indicators_kernel(
            array[p_id], v_layout.columns, v_layout.active, v_sizes.policy, '{1}',
            array[array_send(v_candles.sessions)], array[v_candles.ts], array[v_candles.open],
            array[v_candles.high], array[v_candles.low], array[v_candles.close], array[v_candles.volume],
            c_begin, c_begin, '{null}', '{}', null, null, null
        )
    ).packed;
    if v_sizes.tf_id is not null then
        -- A bar of 1D is a session with its candle.
        v_emas := (
            features.ema_kernel(
                array[p_id], v_sizes.periods, array[p_id],
                array[array_send(array_fill(v_sizes.tf_id, array[v_candles.count]))],
                array[v_candles.ts], array[v_candles.close],
                null, null, null, null, null, c_begin, null
            )
        ).packed;
    end if;

    return query
    select d.*
    from features.daily_features(
        p_id,
        v_candles.sessions,
        v_candles.rows,
        array(
            select u.row::features.cmc_returns_daily
            from features.unpacked('features.cmc_returns_daily', v_returns) as u (row)
        ),
        array(
            select u.row::features.cmc_vol_daily
            from features.unpacked('features.cmc_vol_daily', v_vol) as u (row)
        ),
        array(
            select u.row::features.cmc_ta_daily
            from features.unpacked('features.cmc_ta_daily', v_ta) as u (row)
        ),
        array(
            select u.row::features.cmc_ema_multi_tf
            from features.unpacked('features.cmc_ema_multi_tf', v_emas) as u (row)
            where v_emas is not null
        )
    ) as d;
end
$$;

comment on function features._as_known(integer, timestamptz) is
    'Private: one asset''s daily features, worked out from its candles as they stood at a moment.';

create or replace function features._assets_known(p_asset_ids integer[], p_known_at timestamptz)
returns integer[]
language plpgsql
stable parallel unsafe
as $$
declare
    v_ids integer[] := features._known_assets(p_asset_ids);
begin
    if p_known_at is null or p_asset_ids is not null then
        return v_ids;
    end if;
    v_ids := array(
        select s.id
        from bars.price_state as s
        where s.first_recorded_at <= p_known_at
        order by s.id
    );
    if v_ids = '{}' then
        -- The error of candles that nobody knew yet.
        perform from bars.prices_as_of(p_known_at);
    end if;
    return v_ids;
end
$$;

comment on function features._assets_known(integer[], timestamptz) is
    'Private: the given assets; by default all, with a moment those that had been loaded by then.';

create or replace function features.as_of(
    p_asset_ids integer[] default null,
    p_at timestamptz default 'infinity',
    p_known_at timestamptz default null
)
returns setof features.cmc_daily_features
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ids integer[] := features._assets_known(p_asset_ids, p_known_at);
begin
    if p_at is null then
        raise exception 'no market time is given'
            using errcode = 'TA419',
                  detail = 'p_at is null.',
                  hint = 'Leave it away for all rows, or give the moment that nothing may be later than.';
    end if;
    if p_known_at is null then
        return query
        select f.*
        from features.cmc_daily_features as f
        where f.id = any (v_ids)
          and f.available_at <= p_at
        order by f.id, f.ts;
        return;
    end if;
    return query
    select k.*
    from unnest(v_ids) as a (id)
    cross join lateral features._as_known(a.id, p_known_at) as k
    where k.available_at <= p_at
    order by k.id, k.ts;
end
$$;

comment on function features.as_of(integer[], timestamptz, timestamptz) is
    'Daily features that were available at a market time, from what was known at a moment; by default from what is stored.';

grant execute on function features.as_of(integer[], timestamptz, timestamptz) to ta_lab2_research;
