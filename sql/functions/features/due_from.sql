-- features.due_from(p_id, p_type, p_dirty_from, p_rebuild, p_fingerprint): where a computation has to begin, as a ts.
--
--     select features.due_from(1, 'returns', null, false, features.fingerprints() ->> 'returns');
--
-- Null: nothing is due. Minus infinity: all of it, because it never ran, was asked for (p_rebuild),
-- or because the arithmetic is another one than that of the stored rows. Otherwise the first thing
-- that it has not seen. p_dirty_from is the start of what the caller took from bars.dirty_range: all
-- that there is to know where it reads what another computation fills. A candle is due, logged or not.
--
-- requires: functions/features/computations.sql

create or replace function features.due_from(
    p_id integer,
    p_type text,
    p_dirty_from timestamptz,
    p_rebuild boolean,
    p_fingerprint text
)
returns timestamptz
language plpgsql
stable parallel unsafe
as $$
declare
    v_last    timestamptz;
    v_candles boolean;
begin
    if p_rebuild then
        return '-infinity'::timestamptz;
    end if;
    select s.last_processed_ts, w.reads = 'cmc_price_histories7'
    into v_last, v_candles
    from features.feature_state as s
    join features.computations() as c using (feature_type, feature_name)
    join bars.dim_consumers as w on w.consumer = c.feature_type
    where s.id = p_id
      and s.feature_type = p_type
      and s.fingerprint = p_fingerprint;
    if not found then
        return '-infinity'::timestamptz;
    end if;
    if not v_candles then
        return p_dirty_from;
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

comment on function features.due_from(integer, text, timestamptz, boolean, text) is
    'Where a computation has to begin for one asset; null: nowhere, minus infinity: at the beginning.';
