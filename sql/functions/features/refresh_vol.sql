-- features.refresh_vol(p_id, p_from): bring one asset's volatilities up to date, as what it did.
--
--     select d.rows_written from features.refresh_vol(1, '-infinity') as d;
--
-- A step of features.refresh_assets, as features.refresh_returns is. Windows are read again; the
-- ATR goes on from the stored row of the last candle before p_from, which is all of its state.
--
-- requires: functions/features/vol_kernel.sql, functions/features/replace_rows.sql
-- requires: functions/features/sessions_between.sql

create or replace function features.refresh_vol(p_id integer, p_from timestamptz)
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
as $$
declare
    v_rule     features.dim_features := (
        select f from features.dim_features as f where f.feature_type = 'volatility'
    );
    -- 420 days: enough for 273 candles of any exchange, which scores over 252 windows of 20 need.
    v_start    timestamptz := p_from - interval '24 hours' * (greatest(v_rule.look_back, 126) + 28) * 1.5;
    v_year     integer;
    v_after    timestamptz;
    v_candles  record;
    v_atr      double precision;
    v_stored   bytea[];
    v_kernel   record;
begin
    select s.annualisation_days
    into v_year
    from bars.dim_assets as a
    join timemodel.dim_sessions as s on s.session_id = a.session_id
    where a.id = p_id;

    loop
        -- As in refresh_returns, rows after the last candle before p_from may come, change or go.
        select
            array_send(features.sessions_between(p_id, min(b.ts), max(b.ts))) as sessions,
            array_send(array_agg(b.ts order by b.ts)) as ts,
            array_send(array_agg(b.open order by b.ts)) as open,
            array_send(array_agg(b.high order by b.ts)) as high,
            array_send(array_agg(b.low order by b.ts)) as low,
            array_send(array_agg(b.close order by b.ts)) as close,
            coalesce(max(b.ts) filter (where b.ts < p_from), '-infinity') as after,
            count(*) as read
        into v_candles
        from bars.cmc_price_histories7 as b
        where b.id = p_id
          and b.ts >= v_start;
        v_after := v_candles.after;

        select v.atr_14
        into v_atr
        from features.cmc_vol_daily as v
        where v.id = p_id
          and v.ts = v_after;

        select array_agg(record_send(v))
        into v_stored
        from features.cmc_vol_daily as v
        where v.id = p_id
          and v.ts > v_after;

        select k.*
        into v_kernel
        from features.vol_kernel(
            p_id, v_year, v_candles.sessions, v_candles.ts,
            v_candles.open, v_candles.high, v_candles.low, v_candles.close,
            v_start = '-infinity', timestamptz_send(v_after), v_atr, v_stored,
            v_rule.null_policy, v_rule.look_back, v_rule.outlier_sigmas, v_rule.outlier_fence
        ) as k;
        exit when v_kernel.complete;
        -- A young asset, or gaps that spread the candles over more days.
        v_start := '-infinity';
    end loop;

    perform features.replace_rows('features.cmc_vol_daily', p_id, v_kernel.stale, v_kernel.packed);
    return query
    select
        v_candles.read, v_kernel.changed::bigint, v_kernel.unchanged::bigint,
        v_after, v_kernel.last_ts, null::bytea;
end
$$;

comment on function features.refresh_vol(integer, timestamptz) is
    'Brings cmc_vol_daily up to date for one asset from a ts on; counts, range and progress for refresh_assets.';
