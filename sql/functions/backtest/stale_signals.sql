-- backtest.stale_signals(p_signal_ids, p_asset_ids): signals of assets whose rows don't follow from their candles as they stand, and why.
--
--     select s.signal_id, s.id, s.reason from backtest.stale_signals('{1}', '{1,1027}') as s;
--
-- A signal is up to date when neither its computation nor any that it reads from, however far up, has
-- something to do: no candle came, went or was revised, and no kernel or configuration changed, since.
-- Regimes count for a signal that uses them (use_regime). Each of the signals is looked up for each of the assets.
--
-- requires: functions/features/computations.sql, functions/features/due.sql
-- requires: functions/features/fingerprints.sql, functions/features/of_steps.sql

create or replace function backtest.stale_signals(p_signal_ids integer[], p_asset_ids integer[])
returns table (signal_id integer, id integer, reason text)
language plpgsql
stable parallel unsafe
as $$
begin
    return query
    with recursive computed as materialized (
        select c.feature_type, c.feature_name, 'refresh_features' as verb
        from features.computations() as c
        union all
        select d.feature_type, d.feature_name, d.verb
        from features.dim_computations as d
    ),

    needed as (
        select s.signal_id, coalesce((s.params ->> 'use_regime')::boolean, false) as use_regime, c.feature_type, c.verb
        from signals.dim_signals as s
        join computed as c on c.feature_type = 'signals_' || s.signal_type
        where s.signal_id = any (p_signal_ids)
        union
        select n.signal_id, n.use_regime, c.feature_type, c.verb
        from needed as n
        join bars.dim_consumers as r on r.consumer = n.feature_type
        join computed as c on c.feature_name = r.reads or c.feature_name = any (r.also_reads)
        where c.verb <> 'refresh_regimes'
           or n.use_regime
    ),

    behind as materialized (
        select f.id, f.feature_type
        from (
            select n.verb, array_agg(distinct n.feature_type) as steps
            from needed as n
            group by n.verb
        ) as v
        cross join lateral features.due(
            p_asset_ids, false, features.of_steps(features.fingerprints(v.verb), v.steps)
        ) as f
    ),

    told as (
        select
            n.signal_id,
            b.id,
            format('%s is behind', string_agg(b.feature_type, ', ' order by b.feature_type)) as reason
        from needed as n
        join behind as b using (feature_type)
        group by n.signal_id, b.id
    )

    select g.signal_id, a.id, coalesce(t.reason, 'the signal was never worked out for it')
    from unnest(p_signal_ids) as g (signal_id)
    cross join unnest(p_asset_ids) as a (id)
    left join signals.cmc_signal_state as s
        on s.id = a.id
        and s.signal_id = g.signal_id
    left join told as t
        on t.id = a.id
        and t.signal_id = g.signal_id
    where s.id is null
       or t.reason is not null
    order by g.signal_id, a.id;
end
$$;

comment on function backtest.stale_signals(integer[], integer[]) is
    'Assets whose signals are not up to date with the candles, by signal, each with what has to be refreshed.';
