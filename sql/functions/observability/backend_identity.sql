-- observability.backend_identity(p_pid): what tells a backend's present statement from all others, as JSON.
--
--     select observability.backend_identity();
--
-- Null where no backend has this pid. Of another role's backend only pg_read_all_stats sees
-- more than the pid.

create or replace function observability.backend_identity(p_pid integer default pg_backend_pid())
returns jsonb
language sql
stable parallel restricted
as $$
select jsonb_build_object(
    'pid', a.pid,
    'backend_start', extract(epoch from a.backend_start),
    'query_start', extract(epoch from a.query_start),
    'state', a.state
)
from pg_stat_activity as a
where a.pid = p_pid
$$;

comment on function observability.backend_identity(integer) is
    'Pid, start and present statement''s start of a backend, null where there is none.';
