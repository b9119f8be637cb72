-- features.bars_as_of(p_id, p_tf_ids, p_known_at): one asset's closed bars as they were known at a moment, as rows of cmc_price_bars_multi_tf.
--
--     select b.* from features.bars_as_of(1, '{1}', '2024-06-02 06:00+00') as b;
--
-- Worked out from the candles as they stood in the tables then, by what a refresh works them out with, and not
-- stored: the same bits as a refresh at that moment, with today's calendar.
--
-- requires: functions/bars/ladder.sql, functions/features/unpacked.sql

create or replace function features.bars_as_of(p_id integer, p_tf_ids integer[], p_known_at timestamptz)
returns setof bars.cmc_price_bars_multi_tf
language plpgsql
stable parallel unsafe
as $$
declare
    v_first timestamptz;
begin
    select min(c.ts) into v_first from bars.prices_as_of(p_known_at, array[p_id]) as c;
    if v_first is null then
        return;
    end if;
    return query
    select (u.row::bars.cmc_price_bars_multi_tf).*
    from bars.ladder(p_id, p_tf_ids, v_first, '-infinity', null, p_known_at => p_known_at) as l
    cross join lateral features.unpacked('bars.cmc_price_bars_multi_tf', l.packed) as u (row);
end
$$;

comment on function features.bars_as_of(integer, integer[], timestamptz) is
    'Closed bars of some timeframes of one asset, from its candles as they stood at a moment.';
