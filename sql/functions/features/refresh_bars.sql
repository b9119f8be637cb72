-- features.refresh_bars(p_ids, p_froms): bring assets' bars of every active timeframe up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_bars('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets, as features.refresh_returns is. An asset's state keeps its first
-- candle and the timeframes that were built: a new one, or one that was switched on again, is built
-- whole, and the others only from the first change on. One that is switched off keeps its rows.
-- Assets with the same timeframes to build are worked out together.
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
-- The plan is kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
declare
    v_active  integer[] := array(
        select t.tf_id
        from timemodel.dim_timeframe as t
        where t.is_active
        order by t.tf_id
    );
    v_part    record;
    v_stored  bytea[];
    v_ladder  record;
    v_ids     integer[];
    v_firsts  timestamptz[];
    v_afters  timestamptz[];
    v_read    bigint[];
    v_changed integer[];
    v_kept    integer[];
    v_last    timestamptz[];
begin
    if v_active = '{}' then
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
        return;
    end if;
    for v_part in
        with assets as (
            select
                a.id,
                s.after_ts,
                coalesce(
                    (s.state ->> 'first')::timestamp at time zone 'UTC',
                    (select min(b.ts) from bars.cmc_price_histories7 as b where b.id = a.id)
                ) as first_ts,
                case
                    when s.state is null then v_active
                    when s.state -> 'timeframes' = to_jsonb(v_active) then '{}'
                    else array(
                        select t.tf_id
                        from unnest(v_active) as t (tf_id)
                        where not (s.state -> 'timeframes') @> to_jsonb(t.tf_id)
                        order by t.tf_id
                    )
                end as fresh
            from unnest(p_ids, p_froms) as a (id, from_ts)
            left join lateral (
                select l.after_ts, convert_from(f.state, 'UTF8')::jsonb as state
                from features.feature_state as f
                -- What ended before the last candle that stays was closed by it or earlier, and stays too.
                cross join lateral (
                    select max(b.ts) as after_ts
                    from bars.cmc_price_histories7 as b
                    where b.id = a.id
                      and b.ts < a.from_ts
                ) as l
                where f.id = a.id
                  and f.feature_type = 'bars'
                  and l.after_ts is not null
            ) as s on true
        ),

        parts as (
            select a.id, a.first_ts, '-infinity'::timestamptz as after_ts, a.fresh as tf_ids
            from assets as a
            where a.fresh <> '{}'
            union all
            select
                a.id,
                a.first_ts,
                a.after_ts,
                case
                    when a.fresh = '{}' then v_active
                    else array(
                        select t.tf_id
                        from unnest(v_active) as t (tf_id)
                        where t.tf_id <> all (a.fresh)
                        order by t.tf_id
                    )
                end
            from assets as a
            where a.fresh <> v_active
        )

        select
            p.tf_ids,
            array_agg(p.id order by p.id) as ids,
            array_agg(p.first_ts order by p.id) as firsts,
            array_agg(p.after_ts order by p.id) as afters
        from parts as p
        group by p.tf_ids
    loop
        select array_agg(s.record)
        into v_stored
        from unnest(v_part.ids, v_part.afters) as a (id, after_ts)
        cross join lateral (
            select record_send(r) as record
            from bars.cmc_price_bars_multi_tf as r
            where r.id = a.id
              and r.tf_id = any (v_part.tf_ids)
              and r.time_close >= a.after_ts
            -- Keeps it a search for each asset: a join of an empty table is planned as a scan of it.
            offset 0
        ) as s;
        v_ladder := bars.ladder(
            v_part.ids, v_part.tf_ids, v_part.firsts, v_part.afters, v_stored
        );
        perform features.replace_rows(
            'bars.cmc_price_bars_multi_tf',
            v_ladder.stale_ids, v_ladder.stale_tf_ids, v_ladder.stale, v_ladder.packed
        );
        v_ids := v_ids || v_part.ids;
        v_firsts := v_firsts || v_part.firsts;
        v_afters := v_afters || v_part.afters;
        v_read := v_read || v_ladder.rows_read;
        v_changed := v_changed || v_ladder.changed;
        v_kept := v_kept || v_ladder.unchanged;
        v_last := v_last || v_ladder.last_ts;
    end loop;
    return query
    select
        d.id,
        sum(d.rows_read)::bigint,
        sum(d.changed)::bigint,
        sum(d.unchanged)::bigint,
        coalesce(min(d.after_ts) filter (where d.changed > 0), 'infinity'),
        max(d.last_ts),
        features._bars_state(max(d.first_ts), v_active)
    from unnest(v_ids, v_firsts, v_afters, v_read, v_changed, v_kept, v_last)
        as d (id, first_ts, after_ts, rows_read, changed, unchanged, last_ts)
    group by d.id
    order by d.id;
end
$$;

comment on function features.refresh_bars(integer[], timestamptz[]) is
    'Brings cmc_price_bars_multi_tf up to date for assets, each from a ts on; counts, range and progress for refresh_assets.';
