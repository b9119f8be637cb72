-- features.refresh_asset(p_id): bring one asset's features up to date, as counts of rows.
--
--     select c.rows_written from features.refresh_asset(1) as c;
--
-- Called by refresh_features, which holds the asset's row of refresh_state.

-- plpgsql although SQL would do: an SQL function keeps its plan for the transaction,
-- and would not see a partition of the candles that was made since its first call.
create or replace function features._refresh_returns(p_id integer)
returns table (rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
-- A whole asset is joined to a whole asset, however few rows the statistics expect.
set enable_nestloop = off
as $$
begin
    -- One statement, one snapshot: what is compared is what is written. 24 hours and not
    -- a day, whose length depends on the session's time zone.
    return query
    with pairs as (
        select
            b.ts,
            b.close,
            case when b.ts - lag(b.ts) over w = interval '24 hours' then lag(b.close) over w end as previous
        from bars.cmc_price_histories7 as b
        where b.id = p_id
        window w as (order by b.ts)
    ), fresh as (
        select
            p.ts,
            p.close / p.previous - 1 as ret_pct_1,
            ln(p.close / p.previous) as ret_log_1
        from pairs as p
    ), written as (
        insert into features.cmc_returns_daily as r (id, ts, ret_pct_1, ret_log_1)
        select p_id, f.ts, f.ret_pct_1, f.ret_log_1
        from fresh as f
        left join features.cmc_returns_daily as s on s.id = p_id and s.ts = f.ts
        where s.id is null
           or (s.ret_pct_1, s.ret_log_1) is distinct from (f.ret_pct_1, f.ret_log_1)
        on conflict (id, ts) do update
        set ret_pct_1 = excluded.ret_pct_1,
            ret_log_1 = excluded.ret_log_1
        returning 1
    ), removed as (
        delete from features.cmc_returns_daily as r
        where r.id = p_id
          and not exists (select from fresh as f where f.ts = r.ts)
        returning 1
    )
    select
        c.fresh,
        c.written + (select count(*) from removed),
        c.fresh - c.written
    from (
        select
            (select count(*) from fresh) as fresh,
            (select count(*) from written) as written
    ) as c;
end
$$;

comment on function features._refresh_returns(integer) is
    'Private: writes the returns that differ, removes those whose candle is gone; counts of rows.';

create or replace function features.refresh_asset(p_id integer)
returns table (rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_began timestamptz := clock_timestamp();
begin
    return query
    select c.rows_read, c.rows_written, c.rows_unchanged
    from features._refresh_returns(p_id) as c;
    update features.refresh_state as s
    set refreshed_at = v_began,
        failed_at = null,
        last_error = null
    where s.id = p_id;
end
$$;

comment on function features.refresh_asset(integer) is
    'Brings every feature of one asset up to date; candles read, rows written or removed, rows left alone.';
