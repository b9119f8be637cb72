-- features.ema_as_of(p_id, p_tf_ids, p_known_at): one asset's EMAs as they were known at a moment, as rows of cmc_ema_multi_tf.
--
--     select e.* from features.ema_as_of(1, '{1}', '2024-06-02 06:00+00') as e;
--
-- Worked out from the candles as they stood in the tables then, with the kernels of a refresh and without
-- storing: the same bits as a refresh at that moment, with today's periods and calendar. With
-- null, what is stored.
-- Runs as its owner: research reads what was known only through it.
--
-- requires: functions/features/ema_kernel.sql, functions/features/unpacked.sql
-- requires: functions/features/bars_as_of.sql

create or replace function features.ema_as_of(p_id integer, p_tf_ids integer[], p_known_at timestamptz default null)
returns setof features.cmc_ema_multi_tf
language plpgsql
stable parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_bars    record;
    v_periods bytea;
begin
    if p_known_at is null then
        return query
        select e.*
        from features.cmc_ema_multi_tf as e
        where e.id = p_id
          and e.tf_id = any (p_tf_ids);
        return;
    end if;
    select
        count(*) as count,
        array_send(array_agg(b.tf_id)) as tf_id,
        array_send(array_agg(b.time_close)) as time_close,
        array_send(array_agg(b.close)) as close
    into v_bars
    from features.bars_as_of(p_id, p_tf_ids, p_known_at) as b;
    if v_bars.count = 0 then
        return;
    end if;
    -- 0: a slot that is not used.
    select array_send(array_agg(coalesce(p.period, 0) order by n.slot))
    into v_periods
    from generate_series(1, (select max(p.slot) from features.dim_ema_periods as p)) as n (slot)
    left join features.dim_ema_periods as p using (slot);
    return query
    select (u.row::features.cmc_ema_multi_tf).*
    from features.unpacked(
        'features.cmc_ema_multi_tf',
        (
            features.ema_kernel(
                p_id, v_periods, v_bars.tf_id, v_bars.time_close, v_bars.close,
                null, null, null, null, timestamptz_send('-infinity'), null
            )
        ).packed
    ) as u (row);
end
$$;

comment on function features.ema_as_of(integer, integer[], timestamptz) is
    'EMAs of one asset''s bars of some timeframes from what was known at a moment; by default from what is stored.';

grant execute on function features.ema_as_of(integer, integer[], timestamptz) to ta_lab2_research;
