-- features.due(p_ids, p_rebuild, p_fingerprints): where the computations of assets have to begin, one row for each that is due.
--
--     select d.* from features.due('{1,1027}', false, features.fingerprints()) as d;
--
-- from_ts is minus infinity for all of it, because it never ran, was asked for (p_rebuild), or
-- because the arithmetic is another one than that of the stored rows. Otherwise it is the first
-- thing that it has not seen: what bars.dirty_range tells, which is all that there is to know where it
-- reads what another computation fills, and the first candle after its last, logged or not.
-- The computations are those that p_fingerprints has.
-- One statement for a whole batch: it is all that an asset costs where nothing is due.

create or replace function features.due(p_ids integer[], p_rebuild boolean, p_fingerprints jsonb)
returns table (id integer, feature_type text, from_ts timestamptz)
language plpgsql
stable parallel unsafe
set plan_cache_mode = force_generic_plan
as $$
begin
    return query
    with computed as (
        select
            a.id,
            c.feature_type,
            s.last_processed_ts,
            r.reads = 'cmc_price_histories7' as reads_candles,
            p_rebuild or s.fingerprint is distinct from c.fingerprint as is_whole
        from unnest(p_ids) as a (id)
        cross join jsonb_each_text(p_fingerprints) as c (feature_type, fingerprint)
        join bars.dim_consumers as r on r.consumer = c.feature_type
        left join features.feature_state as s
            on s.id = a.id
            and s.feature_type = c.feature_type
    ),

    -- What reads candles has mostly come as far as its neighbour.
    newer as materialized (
        select l.id, l.last_processed_ts, b.ts
        from (
            select distinct c.id, c.last_processed_ts
            from computed as c
            where c.reads_candles
              and not c.is_whole
        ) as l
        cross join lateral (
            select p.ts
            from bars.cmc_price_histories7 as p
            where p.id = l.id
              and p.ts > coalesce(l.last_processed_ts, '-infinity')
            order by p.ts
            limit 1
        ) as b
    ),

    dirty as (
        select d.id, d.consumer, min(d.from_ts) as from_ts
        from bars.dirty_range as d
        where d.id = any (p_ids)
        group by d.id, d.consumer
    )

    select w.id, w.feature_type, w.from_ts
    from (
        select
            c.id,
            c.feature_type,
            case when c.is_whole then '-infinity' else least(d.from_ts, n.ts) end as from_ts
        from computed as c
        left join dirty as d on d.id = c.id and d.consumer = c.feature_type
        left join newer as n
            on c.reads_candles
            and n.id = c.id
            and n.last_processed_ts is not distinct from c.last_processed_ts
    ) as w
    where w.from_ts is not null;
end
$$;

comment on function features.due(integer[], boolean, jsonb) is
    'Computations with something to do for these assets, and their first ts; minus infinity: all of it.';
