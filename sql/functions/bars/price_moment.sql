-- bars.price_moment(p_id): lock an asset's candles and say when this transaction stores them, as a moment.
--
--     select bars.price_moment(1);
--
-- The begin of the transaction, and the same at every call in it. Where another transaction
-- that began later has written first, a microsecond after that one: versions never overlap.
-- The triggers of the price table call it; the lock ends with the transaction.

create or replace function bars.price_moment(p_id integer)
returns timestamptz
language plpgsql
volatile parallel unsafe
as $$
declare
    v_at timestamptz;
begin
    select c.recorded_at
    into v_at
    from bars.price_state as c
    where c.id = p_id
      and c.written_by = pg_current_xact_id()::text
      -- In a database that was restored elsewhere an old number may come again.
      and c.recorded_at >= now();
    if found then
        return v_at;
    end if;
    insert into bars.price_state as c (id, first_recorded_at, recorded_at, written_by)
    values (p_id, now(), now(), pg_current_xact_id()::text)
    on conflict (id) do update
    set recorded_at = greatest(excluded.recorded_at, c.recorded_at + interval '1 microsecond'),
        written_by = excluded.written_by
    returning c.recorded_at
    into v_at;
    return v_at;
end
$$;

comment on function bars.price_moment(integer) is
    'When this transaction stores the candles of the asset, which it locks against others.';
