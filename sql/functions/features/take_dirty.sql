-- features.take_dirty(p_id, p_type, p_rebuild, p_fingerprint): take over what changed for a computation, as its first ts.
--
--     v_from := features.take_dirty(p_id, 'returns', p_rebuild, v_fingerprint);
--
-- Call it before anything is read: what is committed in between is then read now and dirty
-- still, never missed. If the transaction fails, the ranges are back. Null: nothing is due.
--
-- requires: functions/features/due_from.sql

create or replace function features.take_dirty(
    p_id integer,
    p_type text,
    p_rebuild boolean,
    p_fingerprint text
)
returns timestamptz
language plpgsql
volatile parallel unsafe
as $$
declare
    v_dirty timestamptz;
    v_from  timestamptz;
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

    v_from := features.due_from(p_id, p_type, v_dirty, p_rebuild, p_fingerprint);
    if v_from = '-infinity' and not p_rebuild and exists (
        select
        from features.feature_state as s
        where s.id = p_id
          and s.feature_type = p_type
          and s.fingerprint <> p_fingerprint
    ) then
        raise notice 'refresh_features: asset %: % rebuilt, their arithmetic or configuration changed',
            p_id, p_type;
    end if;
    return v_from;
end
$$;

comment on function features.take_dirty(integer, text, boolean, text) is
    'Removes the dirty ranges of one asset and consumer; the ts from which it has to compute, or null.';
