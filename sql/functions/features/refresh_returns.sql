-- features.refresh_returns(p_id, p_from): bring one asset's returns up to date, as what it did.
--
--     select d.rows_written from features.refresh_returns(1, '-infinity') as d;
--
-- The pattern of every step of features.refresh_asset, which takes the dirty ranges before and
-- keeps the progress after it: read the candles, let the kernel work out what differs, write that.
--
-- requires: functions/features/returns_kernel.sql, functions/features/replace_rows.sql
-- requires: functions/features/sessions_between.sql

create or replace function features.refresh_returns(p_id integer, p_from timestamptz)
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
-- The plan is kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
declare
    -- 400 days: enough for 252 values of the 30-session return and one more, with some gaps.
    v_start    timestamptz := p_from - interval '9600 hours';
    v_after    timestamptz;
    v_sessions bytea;
    v_ts       bytea;
    v_close    bytea;
    v_read     bigint;
    v_stored   bytea[];
    v_kernel   record;
begin
    loop
        -- Rows stand from the first candle to the last, gaps included. So whatever happened at
        -- p_from, the rows up to the candle before it stay, and every later one may come, change or go.
        select
            array_send(features.sessions_between(p_id, min(b.ts), max(b.ts))),
            array_send(array_agg(b.ts order by b.ts)),
            array_send(array_agg(b.close order by b.ts)),
            coalesce(max(b.ts) filter (where b.ts < p_from), '-infinity'),
            count(*)
        into v_sessions, v_ts, v_close, v_after, v_read
        from bars.cmc_price_histories7 as b
        where b.id = p_id
          and b.ts >= v_start;

        select array_agg(record_send(r))
        into v_stored
        from features.cmc_returns_daily as r
        where r.id = p_id
          and r.ts > v_after;

        select k.*
        into v_kernel
        from features.returns_kernel(
            p_id, v_sessions, v_ts, v_close, v_start = '-infinity', timestamptz_send(v_after), v_stored
        ) as k;
        exit when v_kernel.complete;
        -- A young asset, or gaps that spread 252 values over more candles.
        v_start := '-infinity';
    end loop;

    perform features.replace_rows(
        'features.cmc_returns_daily', p_id, v_kernel.stale, v_kernel.packed
    );
    return query
    select v_read, v_kernel.changed::bigint, v_kernel.unchanged::bigint, v_after, v_kernel.last_ts, null::bytea;
end
$$;

comment on function features.refresh_returns(integer, timestamptz) is
    'Brings cmc_returns_daily up to date for one asset from a ts on; counts, range and progress for refresh_asset.';
