-- features.ema_rows_as_of(p_id, p_tf_ids, p_known_at): one asset's rows of cmc_ema_multi_tf as they were known at a moment.
--
--     select r.* from features.ema_rows_as_of(1, '{1}', '2024-06-02 06:00+00') as r;
--
-- What features.ema_as_of gives a row per period, here as the table has it: for who works on from it.
-- Runs as its owner: research reads what was known only through it.
--
-- requires: functions/features/ema_as_of.sql

create or replace function features.ema_rows_as_of(p_id integer, p_tf_ids integer[], p_known_at timestamptz)
returns setof features.cmc_ema_multi_tf
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select (k.emas).*
    from features._ladder_as_known(p_id, p_tf_ids, p_known_at) as k;
end
$$;

comment on function features.ema_rows_as_of(integer, integer[], timestamptz) is
    'Rows of cmc_ema_multi_tf of one asset and some timeframes, from what was known at a moment.';

grant execute on function features.ema_rows_as_of(integer, integer[], timestamptz) to ta_lab2_research;
