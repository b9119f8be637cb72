-- db.refresh_rollup(p_rollup, p_from, p_to, p_force): bring whole buckets of a rollup up to date, with commits.
--
--     call db.refresh_rollup('bars.intraday_1h_continuous', '2025-06-01', '2025-07-01');
--
-- For whoever owns the rollup that db.make_rollup made, and only by a CALL at top level or from a
-- procedure so called: the refresh commits. Hence a static CALL, no SET clause, no SECURITY
-- DEFINER, no exception block, and the commit before: what the caller has just written might be
-- overlooked otherwise. The end is not included; p_force also repairs what was written into it.

create or replace procedure db.refresh_rollup(
    p_rollup regclass,
    p_from timestamptz,
    p_to timestamptz,
    p_force boolean default false
)
language plpgsql
as $$
begin
    commit;
    call public.refresh_continuous_aggregate(p_rollup, p_from, p_to, force => p_force);
end
$$;

comment on procedure db.refresh_rollup(regclass, timestamptz, timestamptz, boolean) is
    'Commits, then refreshes a continuous aggregate between two bucket borders.';
