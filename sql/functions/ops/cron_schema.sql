-- ops.cron_schema(): the schema of pg_cron, refusing a database that pg_cron does not serve, as a name.
--
--     v_cron := ops.cron_schema();
--
-- pg_cron exists in one database of a server, which the server's setting cron.database_name
-- names. The app may not read that setting, so the error tells its value only to those who may.

create or replace function ops.cron_schema()
returns name
language plpgsql
stable parallel safe
as $$
begin
    if exists (select from pg_extension as e where e.extname = 'pg_cron') then
        return 'cron';
    end if;
    raise exception 'pg_cron is not in database %', current_database()
        using errcode = 'TA701',
              detail = case
                  when pg_has_role('pg_read_all_settings', 'usage') then format(
                      'cron.database_name is %s.',
                      coalesce(current_setting('cron.database_name', true), 'not set: pg_cron is not loaded')
                  )
                  else 'It is in the database that the server''s setting cron.database_name names, if it is loaded.'
              end,
              hint = format(
                  'Run `ta-lab2 schedule`, which asks pg_cron in its own database, or preload pg_cron'
                      ' with cron.database_name = ''%s'', restart the server and run `ta-lab2 db migrate`.',
                  current_database()
              );
end
$$;

comment on function ops.cron_schema() is
    'The schema of pg_cron; raises TA701 where pg_cron is not in this database.';
