-- features.record_idle(p_run_id, p_ids, p_began_at, p_verb): keep that assets needed nothing, as void.
--
--     perform features.record_idle(v_run, '{1,1027}', v_began);
--
-- For a whole batch what refresh_asset and record_refresh_event do for an asset.

create or replace function features.record_idle(
    p_run_id uuid,
    p_ids integer[],
    p_began_at timestamptz,
    p_verb text default 'refresh_features'
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    update features.refresh_state as s
    set refreshed_at = p_began_at,
        failed_at = null,
        last_error = null
    where s.id = any (p_ids)
      and s.verb = p_verb;
    insert into features.refresh_events as e (
        id, run_id, started_at, ended_at, rows_read, rows_written, rows_unchanged
    )
    select w.id, p_run_id, p_began_at, greatest(p_began_at, clock_timestamp()), 0, 0, 0
    from unnest(p_ids) as w (id);
end
$$;

comment on function features.record_idle(uuid, integer[], timestamptz, text) is
    'Writes into refresh_state and refresh_events that nothing was due for these assets.';
