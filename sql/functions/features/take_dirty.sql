-- features.take_dirty(p_id, p_type, p_from): take over what changed for a computation, as the first ts of that and p_from.
--
--     v_from := features.take_dirty(p_id, 'returns', v_due);
--
-- Call it before anything is read: what is committed in between is then read now and dirty
-- still, never missed. If the transaction fails, the ranges are back. Null: nothing is due.

create or replace function features.take_dirty(p_id integer, p_type text, p_from timestamptz)
returns timestamptz
language plpgsql
volatile parallel unsafe
as $$
declare
    v_dirty timestamptz;
begin
    with taken as (
        delete from bars.dirty_range as d
        where d.id = p_id
          and d.consumer = p_type
        returning d.from_ts
    )
    select min(t.from_ts)
    into v_dirty
    from taken as t;
    return least(p_from, v_dirty);
end
$$;

comment on function features.take_dirty(integer, text, timestamptz) is
    'Removes the dirty ranges of one asset and consumer; the ts from which it has to compute, or null.';
