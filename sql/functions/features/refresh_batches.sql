-- features.refresh_batches(p_ids, p_rebuild, p_fingerprints, p_verb): the assets in the batches of a refresh, as arrays of ids.
--
--     select b.* from features.refresh_batches('{1,1027}', false, features.fingerprints()) as b;
--
-- A batch is what is locked, worked out and committed together: fifty assets of which only the news
-- are worked out, or one where a computation has to begin at the beginning or far back, so that
-- no batch takes much memory. One that failed is alone too: it would only hold up the others.
-- The computations are those that p_fingerprints has.

create or replace function features.refresh_batches(
    p_ids integer[],
    p_rebuild boolean,
    p_fingerprints jsonb,
    p_verb text default 'refresh_features'
)
returns setof integer[]
language plpgsql
stable parallel unsafe
as $$
begin
    return query
    with assets as (
        select
            a.id,
            p_rebuild
            or count(s.id) < count(*)
            or a.id in (
                select r.id
                from features.refresh_state as r
                where r.failed_at is not null
                  and r.verb = p_verb
            )
            or a.id in (
                select d.id
                from bars.dirty_range as d
                join features.feature_state as o on o.id = d.id and o.feature_type = d.consumer
                where d.from_ts < o.last_processed_ts - interval '9600 hours'
                  and p_fingerprints ? d.consumer
            ) as is_alone
        from unnest(p_ids) as a (id)
        cross join jsonb_each_text(p_fingerprints) as c (feature_type, fingerprint)
        left join features.feature_state as s
            on s.id = a.id
            and s.feature_type = c.feature_type
            and s.fingerprint = c.fingerprint
        group by a.id
    ),

    numbered as (
        select
            a.id,
            case when a.is_alone then a.id::bigint
                else -((row_number() over (partition by a.is_alone order by a.id) + 49) / 50) end as batch
        from assets as a
    )

    select array_agg(n.id order by n.id)
    from numbered as n
    group by n.batch
    order by min(n.id);
end
$$;

comment on function features.refresh_batches(integer[], boolean, jsonb, text) is
    'Batches of a refresh in the order of ids: fifty assets that only have news, each of the others alone.';
