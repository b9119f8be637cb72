-- features.due_from(p_id, p_type, p_dirty_from, p_rebuild): the first candle a computation has not seen, as its ts.
--
--     select features.due_from(1, 'returns', null);
--
-- Null: nothing is due. Minus infinity: all of it, because it never ran, was asked for (p_rebuild),
-- or because the arithmetic is another one than that of the stored rows. p_dirty_from is the
-- start of what the caller took from bars.dirty_range.
--
-- requires: functions/features/computations.sql, functions/features/fingerprint.sql

create or replace function features.due_from(
    p_id integer,
    p_type text,
    p_dirty_from timestamptz,
    p_rebuild boolean default false
)
returns timestamptz
language plpgsql
stable parallel unsafe
as $$
declare
    v_last timestamptz;
begin
    if p_rebuild then
        return '-infinity'::timestamptz;
    end if;
    select s.last_processed_ts
    into v_last
    from features.feature_state as s
    join features.computations() as c using (feature_type, feature_name)
    where s.id = p_id
      and s.feature_type = p_type
      and s.fingerprint = features.fingerprint(c.kernel);
    if not found then
        return '-infinity'::timestamptz;
    end if;
    return least(
        p_dirty_from,
        (
            select min(b.ts)
            from bars.cmc_price_histories7 as b
            where b.id = p_id
              and b.ts > coalesce(v_last, '-infinity')
        )
    );
end
$$;

comment on function features.due_from(integer, text, timestamptz, boolean) is
    'Where a computation has to begin for one asset; null: nowhere, minus infinity: at the beginning.';
