-- schedule_jobs(p_schedule): put the refresh on pg_cron, as ta_lab2_app.
--
--     call schedule_jobs();                    -- every day at 00:10 UTC
--     call schedule_jobs('*/30 * * * *');      -- every half hour
--
-- Repeating it changes nothing but the schedule. The command is exactly one CALL:
-- anything beside it in the same string would forbid the procedure to commit.
--
-- requires: functions/ops/cron_schema.sql, procedures/features/refresh_features.sql

create or replace procedure public.schedule_jobs(p_schedule text default '10 0 * * *')
language plpgsql
as $$
declare
    v_cron name := ops.cron_schema();
    v_role text := current_setting('role');
begin
    -- The job runs as whoever schedules it. A superuser must not lend it his rights.
    perform set_config('role', 'ta_lab2_app', true);
    -- Dynamic: where pg_cron is not, the call cannot be checked.
    execute format('select %I.schedule($1, $2, $3)', v_cron)
    using 'ta_lab2 refresh_features', p_schedule, 'CALL refresh_features()';
    perform set_config('role', v_role, true);
end
$$;

comment on procedure public.schedule_jobs(text) is
    'Puts refresh_features on pg_cron as ta_lab2_app, by default daily at 00:10 UTC.';
