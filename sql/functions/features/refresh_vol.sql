-- features.refresh_vol(p_ids, p_froms): bring the volatilities of assets up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_vol('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets, as features.refresh_returns is. Windows are read again; an
-- ATR goes on from the stored row of the last candle before its from, which is all of its state.
--
-- requires: functions/features/vol_kernel.sql, functions/features/replace_rows.sql
-- requires: functions/features/calendars.sql

create or replace function features.refresh_vol(p_ids integer[], p_froms timestamptz[])
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
-- The plan is kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
declare
    v_rule      features.dim_features := (
        select f from features.dim_features as f where f.feature_type = 'volatility'
    );
    -- 420 days: enough for 273 candles of any exchange, which scores over 252 windows of 20 need.
    v_starts    timestamptz[] := array(
        select a.from_ts - interval '24 hours' * (greatest(v_rule.look_back, 126) + 28) * 1.5
        from unnest(p_froms) with ordinality as a (from_ts, place)
        order by a.place
    );
    v_least     timestamptz;
    v_read      record;
    v_calendars record;
    v_stored    bytea[];
    v_kernel    record;
begin
    loop
        -- As in refresh_returns: the bound, and that rows after the last candle before from_ts may
        -- come, change or go.
        v_least := (select min(a.start_ts) from unnest(v_starts) as a (start_ts));
        select
            array_agg(d.annualisation_days order by a.id) as years,
            array_agg(i.session_id order by a.id) as session_ids,
            array_agg(c.first_ts order by a.id) as firsts,
            array_agg(c.last_ts order by a.id) as lasts,
            array_agg(c.ts order by a.id) as ts,
            array_agg(c.open order by a.id) as open,
            array_agg(c.high order by a.id) as high,
            array_agg(c.low order by a.id) as low,
            array_agg(c.close order by a.id) as close,
            array_agg(c.after_ts order by a.id) as after_ts,
            array_agg(a.start_ts = '-infinity' order by a.id) as is_whole,
            array_agg(c.candles order by a.id) as candles,
            array_agg((
                select v.atr_14
                from features.cmc_vol_daily as v
                where v.id = a.id
                  and v.ts = c.after_ts
            ) order by a.id) as atr
        into v_read
        from unnest(p_ids, p_froms, v_starts) as a (id, from_ts, start_ts)
        join bars.dim_assets as i on i.id = a.id
        join timemodel.dim_sessions as d on d.session_id = i.session_id
        cross join lateral (
            select
                array_send(array_agg(b.ts)) as ts,
                array_send(array_agg(b.open)) as open,
                array_send(array_agg(b.high)) as high,
                array_send(array_agg(b.low)) as low,
                array_send(array_agg(b.close)) as close,
                coalesce(max(b.ts) filter (where b.ts < a.from_ts), '-infinity') as after_ts,
                min(b.ts) as first_ts,
                max(b.ts) as last_ts,
                count(*) as candles
            from bars.cmc_price_histories7 as b
            where b.id = a.id
              and b.ts >= a.start_ts
              and b.ts >= v_least
        ) as c;

        select c.*
        into v_calendars
        from features.calendars(v_read.session_ids, v_read.firsts, v_read.lasts) as c;

        select array_agg(s.record)
        into v_stored
        from unnest(p_ids, v_read.after_ts) as a (id, after_ts)
        cross join lateral (
            select record_send(v) as record
            from features.cmc_vol_daily as v
            where v.id = a.id
              and v.ts > a.after_ts
            -- Keeps it a search for each asset: a join of an empty table is planned as a scan of it.
            offset 0
        ) as s;

        select k.*
        into v_kernel
        from features.vol_kernel(
            p_ids, v_read.years, v_calendars.places, v_calendars.sessions, v_read.ts,
            v_read.open, v_read.high, v_read.low, v_read.close,
            v_read.is_whole, array_send(v_read.after_ts), v_read.atr, v_stored,
            v_rule.null_policy, v_rule.look_back, v_rule.outlier_sigmas, v_rule.outlier_fence
        ) as k;
        exit when v_kernel.incomplete = '{}';
        -- Young assets, or gaps that spread the candles over more days.
        v_starts := array(
            select case when a.id = any (v_kernel.incomplete) then '-infinity' else a.start_ts end
            from unnest(p_ids, v_starts) with ordinality as a (id, start_ts, place)
            order by a.place
        );
    end loop;

    perform features.replace_rows(
        'features.cmc_vol_daily', v_kernel.stale_ids, v_kernel.stale, v_kernel.packed
    );
    return query
    select
        a.id, a.rows_read, a.changed::bigint, a.unchanged::bigint, a.after_ts, a.last_ts, null::bytea
    from unnest(
        p_ids, v_read.candles, v_kernel.changed, v_kernel.unchanged, v_read.after_ts, v_kernel.last_ts
    ) as a (id, rows_read, changed, unchanged, after_ts, last_ts);
end
$$;

comment on function features.refresh_vol(integer[], timestamptz[]) is
    'Brings cmc_vol_daily up to date for assets, each from a ts on; counts, range and progress for refresh_assets.';
