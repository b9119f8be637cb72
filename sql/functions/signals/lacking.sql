-- signals.lacking(p_feature_type, p_ids): assets for which an active signal of a computation was never worked out, as their ids.
--
--     select l.* from signals.lacking('signals_ema_crossover', '{1,1027}') as l;
--
-- dim_computations names it: a dry run asks it what a refresh will work out whole.

create or replace function signals.lacking(p_feature_type text, p_ids integer[])
returns setof integer
language plpgsql
stable parallel safe
as $$
begin
    return query
    select a.id
    from unnest(p_ids) as a (id)
    where exists (
        select
        from signals.dim_signals as d
        where d.is_active
          and 'signals_' || d.signal_type = p_feature_type
          and not exists (
              select
              from signals.cmc_signal_state as s
              where s.id = a.id
                and s.signal_type = d.signal_type
                and s.signal_id = d.signal_id
          )
    );
end
$$;

comment on function signals.lacking(text, integer[]) is
    'Assets that an active signal of the computation has no state for.';
