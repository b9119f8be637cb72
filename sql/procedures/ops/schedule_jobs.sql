-- schedule_jobs(p_schedule, p_intraday): put the refreshes on pg_cron, as ta_lab2_app.
--
--     call schedule_jobs();                    -- refresh_all every day at 00:10 UTC, intraday bars every hour
--     call schedule_jobs('*/30 * * * *');      -- every half hour
--
-- Every night, at 01:40 UTC, records of observability that are older than 90 days go (observability.prune), and at 01:45 what
-- pg_cron keeps of runs that long ago. It shows a role its own runs alone, so the app deletes no others.
-- Repeating it changes nothing but the schedules; a job of features alone, which there once was, goes. A command is exactly one statement:
-- anything beside a CALL in the same string would forbid the procedure to commit.
--
-- requires: functions/ops/cron_schema.sql, procedures/ops/refresh_all.sql
-- requires: procedures/bars/refresh_intraday.sql, functions/observability/prune.sql

create or replace procedure public.schedule_jobs(
    p_schedule text default '10 0 * * *',
    p_intraday text default '5 * * * *'
)
language plpgsql
as $$
declare
    v_cron name := ops.cron_schema();
    v_role text := current_setting('role');
begin
    -- The job runs as whoever schedules it. A superuser must not lend it his rights.
    perform set_config('role', 'ta_lab2_app', true);
    -- Dynamic: where pg_cron is not, the call cannot be checked.
    execute format('
        select %I.schedule(j.name, j.schedule, j.command)
        from (
            values
                (''ta_lab2 refresh_all'', $1, ''CALL refresh_all()''),
                (''ta_lab2 refresh_intraday'', $2, ''CALL refresh_intraday()''),
                (''ta_lab2 prune'', ''40 1 * * *'', ''select observability.prune(''''90 days'''')''),
                (
                    ''ta_lab2 prune_cron'', ''45 1 * * *'',
                    ''delete from cron.job_run_details as d''
                    '' where coalesce(d.end_time, d.start_time) < now() - interval ''''90 days''''''
                )
        ) as j (name, schedule, command)
    ', v_cron)
    using p_schedule, p_intraday;
    execute format('
        select %1$I.unschedule(j.jobid)
        from %1$I.job as j
        where j.jobname = ''ta_lab2 refresh_features'' and j.username = ''ta_lab2_app''
    ', v_cron);
    perform set_config('role', v_role, true);
end
$$;

comment on procedure public.schedule_jobs(text, text) is
    'Puts refresh_all, refresh_intraday and what prunes records at night on pg_cron as ta_lab2_app, by default daily at 00:10 UTC and five past every hour.';
