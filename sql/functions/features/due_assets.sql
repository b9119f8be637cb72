-- features.due_assets(p_ids, p_rebuild, p_fingerprints): those assets for which a refresh has something to do, as their ids.
--
--     select features.due_assets('{1,1027}', false, features.fingerprints());
--
-- One statement for a batch: where nothing is due, that is all that an asset costs. The same
-- conditions as in features.due_from, which says where to begin.
--
-- requires: functions/features/computations.sql

create or replace function features.due_assets(
    p_ids integer[],
    p_rebuild boolean,
    p_fingerprints jsonb
)
returns integer[]
language plpgsql
stable parallel unsafe
as $$
begin
    return (
        select coalesce(array_agg(a.id order by a.id), '{}')
        from unnest(p_ids) as a (id)
        where p_rebuild or exists (
            select
            from features.computations() as c
            join bars.dim_consumers as w on w.consumer = c.feature_type
            left join features.feature_state as s
                on s.id = a.id
                and s.feature_type = c.feature_type
                and s.feature_name = c.feature_name
            where s.fingerprint is distinct from p_fingerprints ->> c.feature_type
               or exists (
                   select
                   from bars.dirty_range as d
                   where d.id = a.id
                     and d.consumer = c.feature_type
               )
               or (
                   w.reads = 'cmc_price_histories7'
                   and exists (
                       select
                       from bars.cmc_price_histories7 as b
                       where b.id = a.id
                         and b.ts > coalesce(s.last_processed_ts, '-infinity')
                   )
               )
        )
    );
end
$$;

comment on function features.due_assets(integer[], boolean, jsonb) is
    'The given assets that have changes, candles that are newer than the last one seen, or another arithmetic.';
