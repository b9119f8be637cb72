-- features.refresh_batches(p_ids, p_rebuild, p_fingerprints): the assets in the batches of a refresh, as arrays of ids.
--
--     select b.* from features.refresh_batches('{1,1027}', false, features.fingerprints()) as b;
--
-- A batch is what is locked together and committed together: one asset where a computation has to
-- begin at the beginning, fifty where only the news are worked out. A backend remembers 64
-- sub-transactions cheaply, and each asset is one. The computations are those that p_fingerprints has.

create or replace function features.refresh_batches(
    p_ids integer[],
    p_rebuild boolean,
    p_fingerprints jsonb
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
            p_rebuild or count(s.id) < count(*) as is_whole
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
            case when a.is_whole then a.id::bigint
                else -((row_number() over (partition by a.is_whole order by a.id) + 49) / 50) end as batch
        from assets as a
    )

    select array_agg(n.id order by n.id)
    from numbered as n
    group by n.batch
    order by min(n.id);
end
$$;

comment on function features.refresh_batches(integer[], boolean, jsonb) is
    'Batches of a refresh in the order of ids: one asset each that is built whole, fifty each of the others.';
