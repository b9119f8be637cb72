-- features.record_refresh_event(p_run_id, p_id, p_started_at, ...): keep how an asset fared in a run, as void.
--
--     perform features.record_refresh_event(v_run, v_id, v_began, 400, 1, 399, null, null);
--
-- Counts where it succeeded, SQLSTATE and message where it failed. close_refresh takes it from there.

create or replace function features.record_refresh_event(
    p_run_id uuid,
    p_id integer,
    p_started_at timestamptz,
    p_rows_read bigint,
    p_rows_written bigint,
    p_rows_unchanged bigint,
    p_sqlstate text,
    p_message text
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into features.refresh_events as e (
        id, run_id, started_at, ended_at, rows_read, rows_written, rows_unchanged, error_code, error_message
    )
    values (
        -- A clock that is set back must not make an asset fail.
        p_id, p_run_id, p_started_at, greatest(p_started_at, clock_timestamp()),
        p_rows_read, p_rows_written, p_rows_unchanged, p_sqlstate, left(p_message, 2000)
    );
end
$$;

comment on function features.record_refresh_event(
    uuid, integer, timestamptz, bigint, bigint, bigint, text, text
) is 'Writes one asset''s outcome, ended now, into refresh_events.';
