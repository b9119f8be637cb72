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
    select w.id, w.feature_type, w.from_ts
    from (
        select
            a.id,
            c.feature_type,
            case
                when p_rebuild or s.fingerprint is distinct from c.fingerprint
                    then '-infinity'
                else least(
                    (
                        select min(d.from_ts)
                        from bars.dirty_range as d
                        where d.id = a.id
                          and d.consumer = c.feature_type
                    ),
                    case when r.reads = 'cmc_price_histories7' then (
                        select b.ts
                        from bars.cmc_price_histories7 as b
                        where b.id = a.id
                          and b.ts > coalesce(s.last_processed_ts, '-infinity')
                        order by b.ts
                        limit 1
                    ) end
                )
            end as from_ts
        from unnest(p_ids) as a (id)
        cross join jsonb_each_text(p_fingerprints) as c (feature_type, fingerprint)
        join bars.dim_consumers as r on r.consumer = c.feature_type
        left join features.feature_state as s
            on s.id = a.id
            and s.feature_type = c.feature_type
    ) as w
    where w.from_ts is not null;
end
$$;

comment on function features.due(integer[], boolean, jsonb) is
    'Computations with something to do for these assets, and their first ts; minus infinity: all of it.';
