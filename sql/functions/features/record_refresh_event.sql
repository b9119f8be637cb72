-- features.record_refresh_event(p_run_id, p_ids|p_id, p_started_at, ...): keep how assets fared in a run, as void.
--
--     perform features.record_refresh_event(v_run, '{1,2}', v_began, '{400,400}', '{1,1}', '{399,399}');
--     perform features.record_refresh_event(v_run, 3, v_began, sqlstate, sqlerrm);
--
-- Counts of those that succeeded together, SQLSTATE and message of one that failed.
-- close_refresh takes it from there.

create or replace function features.record_refresh_event(
    p_run_id uuid,
    p_ids integer[],
    p_started_at timestamptz,
    p_rows_read bigint[],
    p_rows_written bigint[],
    p_rows_unchanged bigint[]
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    -- A clock that is set back must not make an asset fail.
    v_ended timestamptz := greatest(p_started_at, clock_timestamp());
begin
    insert into features.refresh_events as e (
        id, run_id, started_at, ended_at, rows_read, rows_written, rows_unchanged
    )
    select a.id, p_run_id, p_started_at, v_ended, a.rows_read, a.rows_written, a.rows_unchanged
    from unnest(p_ids, p_rows_read, p_rows_written, p_rows_unchanged)
        as a (id, rows_read, rows_written, rows_unchanged);
end
$$;

comment on function features.record_refresh_event(
    uuid, integer[], timestamptz, bigint[], bigint[], bigint[]
) is 'Writes the counts of assets that were refreshed together, ended now, into refresh_events.';

create or replace function features.record_refresh_event(
    p_run_id uuid,
    p_id integer,
    p_started_at timestamptz,
    p_sqlstate text,
    p_message text
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into features.refresh_events as e (
        id, run_id, started_at, ended_at, error_code, error_message
    )
    values (
        p_id, p_run_id, p_started_at, greatest(p_started_at, clock_timestamp()),
        p_sqlstate, left(p_message, 2000)
    );
end
$$;

comment on function features.record_refresh_event(uuid, integer, timestamptz, text, text) is
    'Writes the failure of one asset, ended now, into refresh_events.';
