-- features.refresh_emas(p_ids, p_froms): bring the EMAs of assets up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_emas('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets, as features.refresh_returns is. Reads the bars from each from on, and of
-- each timeframe that has one the last row before it, from which it goes on. Where a period begins with one
-- of these bars all earlier ones are read too, for the mean that it begins with: fewer than the period has.
--
-- requires: functions/features/ema_kernel.sql, functions/features/replace_rows.sql

create or replace function features.refresh_emas(p_ids integer[], p_froms timestamptz[])
returns table (
    id integer,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language plpgsql
volatile parallel unsafe
-- The plan is kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
declare
    v_periods integer[];
    v_tf_ids  integer[];
    v_read    record;
    v_stored  bytea[];
    v_kernel  record;
begin
    -- 0: a slot that is not used.
    select array_agg(coalesce(p.period, 0) order by n.slot)
    into v_periods
    from generate_series(1, (select max(p.slot) from features.dim_ema_periods as p)) as n (slot)
    left join features.dim_ema_periods as p using (slot);
    -- Tables' keys go from asset to timeframe to time: with all timeframes named each is looked up.
    select array_agg(t.tf_id order by t.tf_id)
    into v_tf_ids
    from timemodel.dim_timeframe as t;

    with bars as materialized (
        select a.id, a.from_ts, b.*
        from unnest(p_ids, p_froms) as a (id, from_ts)
        cross join lateral (
            select
                array_agg(h.tf_id) as tf_ids,
                array_send(array_agg(h.time_close)) as time_close,
                array_send(array_agg(h.close)) as close,
                count(*) as bars,
                max(h.time_close) as last_ts
            from bars.cmc_price_bars_multi_tf as h
            where h.id = a.id
              and h.tf_id = any (v_tf_ids)
              and h.time_close >= a.from_ts
        ) as b
    ),

    due as (
        select b.id, b.from_ts, t.tf_id, count(*) as bars
        from bars as b
        cross join unnest(b.tf_ids) as t (tf_id)
        where b.from_ts > '-infinity'
        group by b.id, b.from_ts, t.tf_id
    ),

    last as materialized (
        select
            d.id,
            d.from_ts,
            d.tf_id,
            l.close,
            l.bar_no,
            l.ema,
            exists (
                select
                from unnest(v_periods) as n (period)
                where n.period > l.bar_no
                  and n.period <= l.bar_no + d.bars
            ) as is_beginning
        from due as d
        cross join lateral (
            select e.close, e.bar_no, e.ema
            from features.cmc_ema_multi_tf as e
            where e.id = d.id
              and e.tf_id = d.tf_id
              and e.time_close < d.from_ts
            order by e.time_close desc
            limit 1
        ) as l
    ),

    pieces as materialized (
        select b.id, array_send(b.tf_ids) as tf_id, b.time_close, b.close, b.bars
        from bars as b
        union all
        select
            l.id,
            array_send(array_agg(b.tf_id)),
            array_send(array_agg(b.time_close)),
            array_send(array_agg(b.close)),
            count(*)
        from last as l
        cross join lateral (
            select h.tf_id, h.time_close, h.close
            from bars.cmc_price_bars_multi_tf as h
            where h.id = l.id
              and h.tf_id = l.tf_id
              and h.time_close < l.from_ts
            offset 0
        ) as b
        where l.is_beginning
        group by l.id
    )

    select
        p.*,
        l.*,
        (
            select array_agg(s.read order by s.id)
            from (select c.id, sum(c.bars)::bigint as read from pieces as c group by c.id) as s
        ) as read,
        (
            select array_agg(
                coalesce(
                    b.last_ts,
                    (select max(h.time_close) from bars.cmc_price_bars_multi_tf as h where h.id = b.id)
                )
                order by b.id
            )
            from bars as b
        ) as last_ts
    into v_read
    from (
        select
            array_agg(c.id) as ids,
            array_agg(c.tf_id) as tf_id,
            array_agg(c.time_close) as time_close,
            array_agg(c.close) as close
        from pieces as c
    ) as p
    cross join (
        select
            array_send(array_agg(o.id order by o.id, o.tf_id)) as last_id,
            array_send(array_agg(o.tf_id order by o.id, o.tf_id)) as last_tf_id,
            array_send(array_agg(o.close order by o.id, o.tf_id)) as last_close,
            array_send(array_agg(o.bar_no order by o.id, o.tf_id)) as last_bar_no,
            (
                select array_send(array_agg(coalesce(r.ema[n.slot], 'NaN') order by r.id, r.tf_id, n.slot))
                from last as r
                cross join generate_subscripts(v_periods, 1) as n (slot)
            ) as last_ema
        from last as o
    ) as l;

    select array_agg(s.record)
    into v_stored
    from unnest(p_ids, p_froms) as a (id, from_ts)
    cross join lateral (
        select record_send(e) as record
        from features.cmc_ema_multi_tf as e
        where e.id = a.id
          and e.tf_id = any (v_tf_ids)
          and e.time_close >= a.from_ts
        -- Keeps it a search for each asset: a join of an empty table is planned as a scan of it.
        offset 0
    ) as s;

    v_kernel := features.ema_kernel(
        p_ids, array_send(v_periods), v_read.ids, v_read.tf_id, v_read.time_close, v_read.close,
        v_read.last_id, v_read.last_tf_id, v_read.last_close, v_read.last_bar_no, v_read.last_ema,
        array_send(p_froms), v_stored
    );
    perform features.replace_rows(
        'features.cmc_ema_multi_tf',
        v_kernel.stale_ids, v_kernel.stale_tf_ids, v_kernel.stale, v_kernel.packed
    );
    -- A stored row is all of the state.
    return query
    select
        a.id, a.rows_read, a.changed::bigint, a.unchanged::bigint, a.from_ts, a.last_ts, null::bytea
    from unnest(
        p_ids, v_read.read, v_kernel.changed, v_kernel.unchanged, p_froms, v_read.last_ts
    ) as a (id, rows_read, changed, unchanged, from_ts, last_ts);
end
$$;

comment on function features.refresh_emas(integer[], timestamptz[]) is
    'Brings cmc_ema_multi_tf up to date for assets, each from a time on; counts, range and progress for refresh_assets.';
