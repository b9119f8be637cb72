-- observability.resolve_alert(p_problem): say that a problem is over, as whether it was open.
--
--     select observability.resolve_alert('refresh_features asset 1 23514');

create or replace function observability.resolve_alert(p_problem text)
returns boolean
language plpgsql
volatile parallel unsafe
as $$
begin
    update observability.alerts as a
    set resolved_at = clock_timestamp()
    where a.problem = p_problem
      and a.resolved_at is null;
    return found;
end
$$;

comment on function observability.resolve_alert(text) is
    'Resolves the open alert of a problem; false where there is none.';
