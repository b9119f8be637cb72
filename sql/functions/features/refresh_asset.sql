-- features.refresh_asset(p_id, p_rebuild): bring one asset's features up to date, as counts of rows.
--
--     select c.rows_written from features.refresh_asset(1) as c;
--
-- Called by refresh_features, which holds the asset's row of refresh_state.
--
-- requires: functions/features/refresh_returns.sql

create or replace function features.refresh_asset(p_id integer, p_rebuild boolean default false)
returns table (rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_began timestamptz := clock_timestamp();
begin
    return query
    select c.rows_read, c.rows_written, c.rows_unchanged
    from features.refresh_returns(p_id, p_rebuild) as c;
    update features.refresh_state as s
    set refreshed_at = v_began,
        failed_at = null,
        last_error = null
    where s.id = p_id;
end
$$;

comment on function features.refresh_asset(integer, boolean) is
    'Brings every feature of one asset up to date; candles read, rows written or removed, rows left alone.';
