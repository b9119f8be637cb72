-- unschedule_jobs(): take off pg_cron what schedule_jobs put there.
--
--     call unschedule_jobs();
--
-- A job that is not there is no error.
--
-- requires: functions/ops/cron_schema.sql

create or replace procedure public.unschedule_jobs()
language plpgsql
as $$
declare
    v_cron name := ops.cron_schema();
    v_role text := current_setting('role');
begin
    perform set_config('role', 'ta_lab2_app', true);
    -- Dynamic: where pg_cron is not, the call cannot be checked.
    execute format('
        select %1$I.unschedule(j.jobid)
        from %1$I.job as j
        where j.jobname = any ($1) and j.username = $2
    ', v_cron)
    using '{ta_lab2 refresh_all,ta_lab2 refresh_intraday,ta_lab2 prune,ta_lab2 prune_cron,ta_lab2 refresh_features}'::text[],
        'ta_lab2_app';
    perform set_config('role', v_role, true);
end
$$;

comment on procedure public.unschedule_jobs() is
    'Removes the jobs of schedule_jobs from pg_cron; no error when they are not there.';
