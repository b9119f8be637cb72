-- features.refresh_bars(p_ids, p_froms): bring assets' bars of every active timeframe up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_bars('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets. Each asset is worked out by itself, and what differs of all of
-- them written at once. Its state keeps the asset's first candle and the timeframes that
-- were built: a new one, or one that was switched on again, is built whole, and the others only
-- from the first change on. One that is switched off keeps its rows.
--
-- requires: functions/bars/ladder.sql, functions/features/replace_rows.sql

create or replace function features._bars_state(p_first timestamptz, p_tf_ids integer[])
returns bytea
language sql
immutable parallel safe
as $$
select convert_to(
    jsonb_build_object('first', p_first at time zone 'UTC', 'timeframes', p_tf_ids)::text, 'UTF8'
)
$$;

comment on function features._bars_state(timestamptz, integer[]) is
    'Private: the state of bars, which is the first candle and the timeframes that were built.';

create or replace function features._bars_of(p_id integer, p_from timestamptz)
returns table (
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea,
    stale_tf_ids integer[],
    stale timestamptz[],
    packed bytea
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_active    integer[];
    v_built     integer[];
    v_state     jsonb;
    v_first     timestamptz;
    v_after     timestamptz;
    v_part      record;
    v_stored    bytea[];
    v_kernel    record;
begin
    rows_read := 0;
    rows_written := 0;
    rows_unchanged := 0;
    changed_from := 'infinity'::timestamptz;
    packed := ''::bytea;
    select coalesce(array_agg(t.tf_id order by t.tf_id), '{}')
    into v_active
    from timemodel.dim_timeframe as t
    where t.is_active;

    -- What ended before the last candle that stays was closed by it or earlier, and stays too.
    select coalesce(max(b.ts), '-infinity')
    into v_after
    from bars.cmc_price_histories7 as b
    where b.id = p_id
      and b.ts < p_from;
    select convert_from(s.state, 'UTF8')::jsonb
    into v_state
    from features.feature_state as s
    where s.id = p_id
      and s.feature_type = 'bars'
      and v_after > '-infinity';
    if v_state is null then
        v_after := '-infinity'::timestamptz;
        select min(b.ts)
        into v_first
        from bars.cmc_price_histories7 as b
        where b.id = p_id;
        v_built := v_active;
    else
        v_first := (v_state ->> 'first')::timestamp at time zone 'UTC';
        v_built := array(
            select e.tf_id::integer
            from jsonb_array_elements_text(v_state -> 'timeframes') as e (tf_id)
        );
    end if;

    for v_part in
        select
            array_agg(a.tf_id order by a.tf_id) as tf_ids,
            case when b.tf_id is null then '-infinity' else v_after end as from_ts
        from unnest(v_active) as a (tf_id)
        left join unnest(v_built) as b (tf_id) using (tf_id)
        group by from_ts
        order by from_ts
    loop
        select array_agg(record_send(r))
        into v_stored
        from bars.cmc_price_bars_multi_tf as r
        where r.id = p_id
          and r.tf_id = any (v_part.tf_ids)
          and r.time_close >= v_part.from_ts;
        select k.*
        into v_kernel
        from bars.ladder(p_id, v_part.tf_ids, v_first, v_part.from_ts, v_stored) as k;

        stale_tf_ids := stale_tf_ids || v_kernel.stale_tf_ids;
        stale := stale || v_kernel.stale;
        packed := packed || v_kernel.packed;
        rows_read := rows_read + v_kernel.rows_read;
        rows_written := rows_written + v_kernel.changed;
        rows_unchanged := rows_unchanged + v_kernel.unchanged;
        last_ts := greatest(last_ts, v_kernel.last_ts);
        if v_kernel.changed > 0 then
            changed_from := least(changed_from, v_part.from_ts);
        end if;
    end loop;
    state := features._bars_state(v_first, v_active);
    return next;
end
$$;

comment on function features._bars_of(integer, timestamptz) is
    'Private: what differs of one asset''s bars from a ts on, with what refresh_bars says of it.';

-- Nothing is computed without a timeframe, so nothing can be missed, and no asset is due for ever:
-- one statement says of the whole set how far its candles go.
create or replace function features.refresh_bars(p_ids integer[], p_froms timestamptz[])
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
as $$
declare
    v_one          record;
    v_stale_ids    integer[] := array[]::integer[];
    v_stale_tf_ids integer[] := array[]::integer[];
    v_stale        timestamptz[] := array[]::timestamptz[];
    v_packed       bytea := ''::bytea;
begin
    -- A timeframe is not deleted between here and its bars.
    lock table only bars.cmc_price_bars_multi_tf in row exclusive mode;
    if exists (select from timemodel.dim_timeframe as t where t.is_active) then
        for v_one in
            select a.id, b.*
            from unnest(p_ids, p_froms) with ordinality as a (id, from_ts, place)
            cross join lateral features._bars_of(a.id, a.from_ts) as b
            order by a.place
        loop
            v_stale_ids := v_stale_ids || array_fill(v_one.id, array[cardinality(v_one.stale)]);
            v_stale_tf_ids := v_stale_tf_ids || v_one.stale_tf_ids;
            v_stale := v_stale || v_one.stale;
            v_packed := v_packed || v_one.packed;
            id := v_one.id;
            rows_read := v_one.rows_read;
            rows_written := v_one.rows_written;
            rows_unchanged := v_one.rows_unchanged;
            changed_from := v_one.changed_from;
            last_ts := v_one.last_ts;
            state := v_one.state;
            return next;
        end loop;
        perform features.replace_rows(
            'bars.cmc_price_bars_multi_tf', v_stale_ids, v_stale_tf_ids, v_stale, v_packed
        );
        return;
    end if;
    return query
    select
        a.id, 0::bigint, 0::bigint, 0::bigint, 'infinity'::timestamptz, c.last_ts,
        features._bars_state(c.first_ts, '{}')
    from unnest(p_ids) as a (id)
    cross join lateral (
        select
            (
                select b.ts
                from bars.cmc_price_histories7 as b
                where b.id = a.id
                order by b.ts
                limit 1
            ) as first_ts,
            (
                select b.ts
                from bars.cmc_price_histories7 as b
                where b.id = a.id
                order by b.ts desc
                limit 1
            ) as last_ts
    ) as c;
end
$$;

comment on function features.refresh_bars(integer[], timestamptz[]) is
    'Brings cmc_price_bars_multi_tf up to date for assets, each from a ts on; at once for all where no timeframe is active.';
