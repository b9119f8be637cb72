-- features.refresh_emas(p_ids, p_froms): bring the EMAs of assets up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_emas('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets. Each asset is worked out by itself, and what differs of all of
-- them written at once. Reads the bars from p_from on, and of each timeframe that has
-- one the last row before it, from which it goes on. Where a period begins with one of these bars all
-- earlier ones are read too, for the mean that it begins with: fewer than the period has.
--
-- requires: functions/features/ema_kernel.sql, functions/features/replace_rows.sql

create or replace function features._emas_of(p_id integer, p_from timestamptz)
returns table (
    rows_read bigint,
    last_ts timestamptz,
    unchanged integer,
    stale_tf_ids integer[],
    stale timestamptz[],
    changed integer,
    packed bytea
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_periods     integer[];
    v_tf_ids      integer[];
    v_last_tf_id  integer[];
    v_last_close  double precision[];
    v_last_bar_no integer[];
    v_last_ema    double precision[];
    v_beginning   integer[];
    v_tf_id       bytea;
    v_time_close  bytea;
    v_close       bytea;
    v_last_ts     timestamptz;
    v_read        bigint;
    v_stored      bytea[];
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

    if p_from > '-infinity' then
        with due as (
            select b.tf_id, count(*) as bars
            from bars.cmc_price_bars_multi_tf as b
            where b.id = p_id
              and b.tf_id = any (v_tf_ids)
              and b.time_close >= p_from
            group by b.tf_id
        ),

        last as (
            select d.tf_id, d.bars, l.close, l.bar_no, l.ema
            from due as d
            cross join lateral (
                select e.close, e.bar_no, e.ema
                from features.cmc_ema_multi_tf as e
                where e.id = p_id
                  and e.tf_id = d.tf_id
                  and e.time_close < p_from
                order by e.time_close desc
                limit 1
            ) as l
        )

        select
            array_agg(l.tf_id order by l.tf_id),
            array_agg(l.close order by l.tf_id),
            array_agg(l.bar_no order by l.tf_id),
            (
                select array_agg(coalesce(r.ema[n.slot], 'NaN') order by r.tf_id, n.slot)
                from last as r
                cross join generate_subscripts(v_periods, 1) as n (slot)
            ),
            array_agg(l.tf_id) filter (
                where exists (
                    select
                    from unnest(v_periods) as n (period)
                    where n.period > l.bar_no
                      and n.period <= l.bar_no + l.bars
                )
            )
        into v_last_tf_id, v_last_close, v_last_bar_no, v_last_ema, v_beginning
        from last as l;
    end if;

    select
        array_send(array_agg(c.tf_id)),
        array_send(array_agg(c.time_close)),
        array_send(array_agg(c.close)),
        count(*),
        max(c.time_close) filter (where c.time_close >= p_from)
    into v_tf_id, v_time_close, v_close, v_read, v_last_ts
    from (
        select b.tf_id, b.time_close, b.close
        from bars.cmc_price_bars_multi_tf as b
        where b.id = p_id
          and b.tf_id = any (v_tf_ids)
          and b.time_close >= p_from
        union all
        select b.tf_id, b.time_close, b.close
        from bars.cmc_price_bars_multi_tf as b
        where b.id = p_id
          and b.tf_id = any (v_beginning)
          and b.time_close < p_from
    ) as c;
    if v_last_ts is null then
        select max(b.time_close)
        into v_last_ts
        from bars.cmc_price_bars_multi_tf as b
        where b.id = p_id;
    end if;

    select array_agg(record_send(e))
    into v_stored
    from features.cmc_ema_multi_tf as e
    where e.id = p_id
      and e.tf_id = any (v_tf_ids)
      and e.time_close >= p_from;

    return query
    select v_read, v_last_ts, k.*
    from features.ema_kernel(
        p_id, array_send(v_periods), v_tf_id, v_time_close, v_close,
        array_send(v_last_tf_id), array_send(v_last_close), array_send(v_last_bar_no),
        array_send(v_last_ema), timestamptz_send(p_from), v_stored
    ) as k;
end
$$;

comment on function features._emas_of(integer, timestamptz) is
    'Private: what differs of one asset''s EMAs from a time on.';

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
    v_one          record;
    v_stale_ids    integer[] := array[]::integer[];
    v_stale_tf_ids integer[] := array[]::integer[];
    v_stale        timestamptz[] := array[]::timestamptz[];
    v_packed       bytea := ''::bytea;
begin
    for v_one in
        select a.id, a.from_ts, e.*
        from unnest(p_ids, p_froms) with ordinality as a (id, from_ts, place)
        cross join lateral features._emas_of(a.id, a.from_ts) as e
        order by a.place
    loop
        v_stale_ids := v_stale_ids || array_fill(v_one.id, array[cardinality(v_one.stale)]);
        v_stale_tf_ids := v_stale_tf_ids || v_one.stale_tf_ids;
        v_stale := v_stale || v_one.stale;
        v_packed := v_packed || v_one.packed;
        id := v_one.id;
        rows_read := v_one.rows_read;
        rows_written := v_one.changed;
        rows_unchanged := v_one.unchanged;
        changed_from := v_one.from_ts;
        last_ts := v_one.last_ts;
        -- A stored row is all of the state.
        state := null;
        return next;
    end loop;
    perform features.replace_rows(
        'features.cmc_ema_multi_tf', v_stale_ids, v_stale_tf_ids, v_stale, v_packed
    );
end
$$;

comment on function features.refresh_emas(integer[], timestamptz[]) is
    'Brings cmc_ema_multi_tf up to date for assets, each from a time on; counts, range and progress for refresh_assets.';
