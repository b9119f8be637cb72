-- backtest.stale_signals(p_signal_id, p_asset_ids): assets whose stored signals don't follow from their candles as they stand, and why.
--
--     select s.id, s.reason from backtest.stale_signals(1, '{1,1027}') as s;
--
-- A signal is up to date when neither its computation nor any that it reads from, however far up, has
-- something to do: no candle came, went or was revised, and no kernel or configuration changed, since.
-- Regimes count for a signal that uses them (use_regime).
--
-- requires: functions/features/computations.sql, functions/features/due.sql
-- requires: functions/features/fingerprints.sql, functions/features/of_steps.sql

create or replace function backtest.stale_signals(p_signal_id integer, p_asset_ids integer[])
returns table (id integer, reason text)
language plpgsql
stable parallel unsafe
as $$
begin
    return query
    with recursive computed as (
        select c.feature_type, c.feature_name, 'refresh_features' as verb
        from features.computations() as c
        union all
        select d.feature_type, d.feature_name, d.verb
        from features.dim_computations as d
    ),

    needed as (
        select c.feature_type, c.verb
        from signals.dim_signals as s
        join computed as c on c.feature_type = 'signals_' || s.signal_type
        where s.signal_id = p_signal_id
        union
        select c.feature_type, c.verb
        from needed as n
        join bars.dim_consumers as r on r.consumer = n.feature_type
        join computed as c on c.feature_name = r.reads or c.feature_name = any (r.also_reads)
        where c.verb <> 'refresh_regimes'
           or (
               select (s.params ->> 'use_regime')::boolean
               from signals.dim_signals as s
               where s.signal_id = p_signal_id
           )
    ),

    verbs as (
        select n.verb, array_agg(n.feature_type) as steps
        from needed as n
        group by n.verb
    )

    select a.id, coalesce(d.reason, 'the signal was never worked out for it')
    from unnest(p_asset_ids) as a (id)
    left join signals.cmc_signal_state as s
        on s.id = a.id
        and s.signal_id = p_signal_id
    left join lateral (
        select format('%s is behind', string_agg(f.feature_type, ', ' order by f.feature_type)) as reason
        from verbs as v
        cross join lateral features.due(
            p_asset_ids, false, features.of_steps(features.fingerprints(v.verb), v.steps)
        ) as f
        where f.id = a.id
        having count(*) > 0
    ) as d on true
    where s.id is null
       or d.reason is not null
    order by a.id;
end
$$;

comment on function backtest.stale_signals(integer, integer[]) is
    'Assets whose signals are not up to date with the candles, each with what has to be refreshed.';
