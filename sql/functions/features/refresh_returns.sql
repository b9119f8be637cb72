-- features.refresh_returns(p_ids, p_froms): bring the returns of assets up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_returns('{1}', '{-infinity}') as d;
--
-- The pattern of every step of features.refresh_assets, which takes the dirty ranges before and
-- keeps the progress after it: read the candles, let the kernel work out what differs, write that.
-- All assets of a set at once: for one new day the calls for each would take longer than the work.
--
-- requires: functions/features/returns_kernel.sql, functions/features/replace_rows.sql
-- requires: functions/features/calendars.sql

create or replace function features.refresh_returns(p_ids integer[], p_froms timestamptz[])
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
        select f from features.dim_features as f where f.feature_type = 'returns'
    );
    -- 340 sessions: enough for 252 values of the 30-session return and one more, with some gaps.
    v_starts    timestamptz[] := array(
        select a.from_ts - interval '24 hours' * (greatest(v_rule.look_back, 252) + 88) * 7 / s.trading_days_per_week
        from unnest(p_ids, p_froms) with ordinality as a (id, from_ts, place)
        join bars.dim_assets as i using (id)
        join timemodel.dim_sessions as s using (session_id)
        order by a.place
    );
    v_least     timestamptz;
    v_read      record;
    v_calendars record;
    v_stored    bytea[];
    v_kernel    record;
begin
    loop
        -- Only a bound that is known before the read leaves partitions out.
        v_least := (select min(a.start_ts) from unnest(v_starts) as a (start_ts));
        -- Rows stand from the first candle to the last, gaps included. So whatever happened at
        -- from_ts, the rows up to the candle before it stay, and every later one may come, change or go.
        select
            array_agg(i.session_id order by a.id) as session_ids,
            array_agg(c.first_ts order by a.id) as firsts,
            array_agg(c.last_ts order by a.id) as lasts,
            array_agg(c.ts order by a.id) as ts,
            array_agg(c.close order by a.id) as close,
            array_agg(c.after_ts order by a.id) as after_ts,
            array_agg(a.start_ts = '-infinity' order by a.id) as is_whole,
            array_agg(c.candles order by a.id) as candles
        into v_read
        from unnest(p_ids, p_froms, v_starts) as a (id, from_ts, start_ts)
        join bars.dim_assets as i on i.id = a.id
        cross join lateral (
            select
                -- The kernel puts them in order: read in order, every partition would be asked.
                array_send(array_agg(b.ts)) as ts,
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
            select record_send(r) as record
            from features.cmc_returns_daily as r
            where r.id = a.id
              and r.ts > a.after_ts
            -- Keeps it a search for each asset: a join of an empty table is planned as a scan of it.
            offset 0
        ) as s;

        select k.*
        into v_kernel
        from features.returns_kernel(
            p_ids, v_calendars.places, v_calendars.sessions, v_read.ts, v_read.close,
            v_read.is_whole, array_send(v_read.after_ts), v_stored,
            v_rule.look_back, v_rule.outlier_sigmas, v_rule.outlier_fence
        ) as k;
        exit when v_kernel.incomplete = '{}';
        -- Young assets, or gaps that spread the values over more candles.
        v_starts := array(
            select case when a.id = any (v_kernel.incomplete) then '-infinity' else a.start_ts end
            from unnest(p_ids, v_starts) with ordinality as a (id, start_ts, place)
            order by a.place
        );
    end loop;

    perform features.replace_rows(
        'features.cmc_returns_daily', v_kernel.stale_ids, v_kernel.stale, v_kernel.packed
    );
    return query
    select
        a.id, a.rows_read, a.changed::bigint, a.unchanged::bigint, a.after_ts, a.last_ts, null::bytea
    from unnest(
        p_ids, v_read.candles, v_kernel.changed, v_kernel.unchanged, v_read.after_ts, v_kernel.last_ts
    ) as a (id, rows_read, changed, unchanged, after_ts, last_ts);
end
$$;

comment on function features.refresh_returns(integer[], timestamptz[]) is
    'Brings cmc_returns_daily up to date for assets, each from a ts on; counts, range and progress for refresh_assets.';
