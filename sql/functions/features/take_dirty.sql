-- features.take_dirty(p_ids, p_type): take over what changed for a computation, as the first ts of each asset that did.
--
--     select t.id, t.from_ts from features.take_dirty('{1,1027}', 'returns') as t;
--
-- Call it before anything is read: what is committed in between is then read now and dirty
-- still, never missed. If the transaction fails, the ranges are back.

create or replace function features.take_dirty(p_ids integer[], p_type text)
returns table (id integer, from_ts timestamptz)
language plpgsql
volatile parallel unsafe
as $$
begin
    return query
    with taken as (
        delete from bars.dirty_range as d
        where d.id = any (p_ids)
          and d.consumer = p_type
        returning d.id, d.from_ts
    )
    select t.id, min(t.from_ts)
    from taken as t
    group by t.id;
end
$$;

comment on function features.take_dirty(integer[], text) is
    'Removes the dirty ranges of assets and a consumer; the ts from which each of them has to be computed.';
