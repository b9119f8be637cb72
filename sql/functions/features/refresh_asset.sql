-- features.refresh_asset(p_id, p_rebuild): bring one asset's features up to date, as the number of rows changed.
--
--     select features.refresh_asset(1);
--
-- Called by refresh_features, which holds the asset's row of refresh_state.
--
-- requires: functions/features/refresh_returns.sql

create or replace function features.refresh_asset(p_id integer, p_rebuild boolean default false)
returns bigint
language plpgsql
volatile parallel unsafe
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_rows  bigint;
begin
    v_rows := features.refresh_returns(p_id, p_rebuild);
    update features.refresh_state as s
    set refreshed_at = v_began,
        failed_at = null,
        last_error = null
    where s.id = p_id;
    return v_rows;
end
$$;

comment on function features.refresh_asset(integer, boolean) is
    'Brings every feature of one asset up to date; the number of rows written or removed.';
