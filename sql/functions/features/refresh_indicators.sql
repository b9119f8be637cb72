-- features.refresh_indicators(p_ids, p_froms): bring the technical indicators of assets up to date, as what it did for each.
--
--     select d.id, d.rows_written from features.refresh_indicators('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets. Where its from is later than the last candle of an asset's state, each
-- indicator goes on from there; otherwise all are worked out from the first candle. One that the
-- state does not know (new, or switched on again) is worked out from the first candle in any case, and
-- alone: of the others' columns only later rows are. Columns of indicators that are not active
-- keep what they have. Assets that keep the same columns are worked out together. Volumes in money
-- (bars.volume_unit) are divided by the close.
--
-- requires: functions/features/indicators_kernel.sql, functions/features/indicator_state.sql
-- requires: functions/features/replace_rows.sql, functions/features/calendars.sql
-- requires: functions/bars/volume_unit.sql

create or replace function features._indicator_layout(
    out columns text[],
    out active jsonb,
    out ids integer[],
    out inactive text[]
)
language sql
stable parallel safe
as $$
with standing as (
    select array_agg(a.attname::text order by a.attnum) as columns
    from pg_catalog.pg_attribute as a
    where a.attrelid = 'features.cmc_ta_daily'::regclass
      and a.attnum > 0
      and not a.attisdropped
      and a.atttypid = 'double precision'::regtype
),

active as (
    select i.indicator_id, i.kind, i.params, i.columns
    from features.dim_indicators as i
    cross join standing as s
    where i.is_active
      -- Of a row that came while a refresh runs, the next one adds the columns.
      and i.columns <@ s.columns
)

select
    s.columns,
    (
        select coalesce(jsonb_agg(to_jsonb(a) order by a.indicator_id), '[]')
        from active as a
    ),
    array(select a.indicator_id from active as a order by a.indicator_id),
    array(
        select c.name
        from unnest(s.columns) with ordinality as c (name, place)
        where not exists (select from active as a where c.name = any (a.columns))
        order by c.place
    )
from standing as s
$$;

comment on function features._indicator_layout() is
    'Private: number columns of cmc_ta_daily in its order, active indicators that have theirs, and columns without one.';

create or replace function features._kept_columns(
    p_id integer,
    p_columns text[],
    p_after timestamptz,
    p_until timestamptz,
    out ts bytea,
    out numbers bytea[]
)
language plpgsql
stable parallel unsafe
as $$
begin
    execute format(
        'select array_send(array_agg(t.ts order by t.ts)), array[%s]'
        ' from features.cmc_ta_daily as t where t.id = $1 and t.ts > $2 and t.ts <= $3'
        -- On a line to the next candle, and now there is another one before that.
        ' and not (t.is_filled and exists ('
        'select from bars.cmc_price_histories7 as b'
        ' where b.id = $1 and b.ts >= t.ts and b.ts < t.available_at))',
        (
            select string_agg(
                format('array_send(array_agg(coalesce(t.%I, ''NaN'') order by t.ts))', c.name),
                ', ' order by c.place
            )
            from unnest(p_columns) with ordinality as c (name, place)
        )
    )
    using p_id, p_after, p_until
    into ts, numbers;
end
$$;

comment on function features._kept_columns(integer, text[], timestamptz, timestamptz) is
    'Private: what some columns of one asset''s indicators have, NaN for null; no line that another candle has broken.';

-- What each asset's state knows, and where it begins: candles later than read_ts are read, rows later
-- than after_ts worked out, and what keep has stays up to last_ts.
create or replace function features._indicators_due(
    p_ids integer[],
    p_froms timestamptz[],
    p_columns text[],
    p_active integer[],
    p_inactive text[]
)
returns table (
    id integer,
    last_ts timestamptz,
    state bytea,
    read_ts timestamptz,
    after_ts timestamptz,
    keep text[]
)
language plpgsql
stable parallel unsafe
as $$
begin
    return query
    with known as (
        select
            a.id,
            a.from_ts,
            s.last_processed_ts,
            s.state,
            array(
                select unnest(p_active)
                except
                select unnest(features._indicators_of(s.state))
            ) as missing,
            s.state is not null and s.last_processed_ts < a.from_ts as is_next
        from unnest(p_ids, p_froms) as a (id, from_ts)
        left join features.feature_state as s
            on s.id = a.id
            and s.feature_type = 'indicators'
    )

    select
        k.id,
        case when k.is_next then k.last_processed_ts end,
        case when k.is_next then k.state end,
        case when k.is_next and k.missing = '{}' then k.last_processed_ts else '-infinity' end,
        case
            when k.is_next and k.missing = '{}' then k.last_processed_ts
            when k.missing <> '{}' then '-infinity'
            -- Rows stand from the first candle to the last, gaps included: those up to the candle before
            -- from_ts stay, and every later one may come, change or go.
            else (
                select coalesce(max(b.ts), '-infinity')
                from bars.cmc_price_histories7 as b
                where b.id = k.id
                  and b.ts < k.from_ts
            )
        end,
        case
            when not k.is_next then p_inactive
            when k.missing = '{}' then '{}'
            else array(
                select c.name
                from unnest(p_columns) with ordinality as c (name, place)
                where not exists (
                    select
                    from features.dim_indicators as i
                    where i.indicator_id = any (k.missing)
                      and c.name = any (i.columns)
                )
                order by c.place
            )
        end
    from known as k;
end
$$;

comment on function features._indicators_due(integer[], timestamptz[], text[], integer[], text[]) is
    'Private: of each asset the state that its indicators go on from, what is read and worked out, and the columns that stay.';

create or replace function features.refresh_indicators(p_ids integer[], p_froms timestamptz[])
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
    v_layout    record;
    v_policy    text := (select f.null_policy from features.dim_features as f where f.feature_type = 'indicators');
    v_set       record;
    v_candles   record;
    v_calendars record;
    v_kept      record;
    v_stored    bytea[];
    v_kernel    record;
begin
    -- No column comes between the look at the columns and the rows that are written in their order.
    lock table features.cmc_ta_daily in access share mode;
    select l.* into v_layout from features._indicator_layout() as l;

    for v_set in
        select
            d.keep,
            array_agg(d.id order by d.id) as ids,
            array_agg(d.last_ts order by d.id) as last_ts,
            array_agg(d.state order by d.id) as states,
            array_agg(d.read_ts order by d.id) as read_ts,
            array_agg(d.after_ts order by d.id) as after_ts,
            -- Only a bound that is known before the read leaves partitions out.
            min(d.read_ts) as least
        from features._indicators_due(
            p_ids, p_froms, v_layout.columns, v_layout.ids, v_layout.inactive
        ) as d
        group by d.keep
        order by min(d.id)
    loop
        select
            array_agg(i.session_id order by a.id) as session_ids,
            array_agg(least(c.first_ts, a.last_ts) order by a.id) as firsts,
            array_agg(greatest(c.last_ts, a.last_ts) order by a.id) as lasts,
            array_agg(c.ts order by a.id) as ts,
            array_agg(c.open order by a.id) as open,
            array_agg(c.high order by a.id) as high,
            array_agg(c.low order by a.id) as low,
            array_agg(c.close order by a.id) as close,
            array_agg(c.volume order by a.id) as volume,
            array_agg(c.candles order by a.id) as candles
        into v_candles
        from unnest(v_set.ids, v_set.last_ts, v_set.read_ts) as a (id, last_ts, read_ts)
        join bars.dim_assets as i on i.id = a.id
        -- offset 0: asked once for each asset, not for each candle.
        cross join lateral (select bars.volume_unit(a.id) as unit offset 0) as v
        cross join lateral (
            select
                array_send(array_agg(b.ts)) as ts,
                array_send(array_agg(b.open)) as open,
                array_send(array_agg(b.high)) as high,
                array_send(array_agg(b.low)) as low,
                array_send(array_agg(b.close)) as close,
                -- Indicators take volumes in units of the asset.
                array_send(array_agg(coalesce(
                    case when v.unit = 'quote' then b.volume / b.close else b.volume end, 'NaN'
                ))) as volume,
                min(b.ts) as first_ts,
                max(b.ts) as last_ts,
                count(*) as candles
            from bars.cmc_price_histories7 as b
            where b.id = a.id
              and b.ts > a.read_ts
              and b.ts > v_set.least
        ) as c;

        select c.*
        into v_calendars
        from features.calendars(v_candles.session_ids, v_candles.firsts, v_candles.lasts) as c;

        select array_agg(k.ts order by a.place) as ts, array_agg(k.numbers order by a.place) as numbers
        into v_kept
        from unnest(v_set.ids, v_set.after_ts, v_set.last_ts) with ordinality as a (id, after_ts, last_ts, place)
        cross join lateral features._kept_columns(
            a.id, v_set.keep, a.after_ts, coalesce(a.last_ts, 'infinity')
        ) as k
        where v_set.keep <> '{}';

        select array_agg(s.record)
        into v_stored
        from unnest(v_set.ids, v_set.after_ts) as a (id, after_ts)
        cross join lateral (
            select record_send(t) as record
            from features.cmc_ta_daily as t
            where t.id = a.id
              and t.ts > a.after_ts
            -- Keeps it a search for each asset: a join of an empty table is planned as a scan of it.
            offset 0
        ) as s;

        select k.*
        into v_kernel
        from features.indicators_kernel(
            v_set.ids, v_layout.columns, v_layout.active, v_policy, v_calendars.places,
            v_calendars.sessions, v_candles.ts, v_candles.open, v_candles.high, v_candles.low,
            v_candles.close, v_candles.volume, array_send(v_set.after_ts),
            array_send(array(
                select coalesce(l.ts, '-infinity')
                from unnest(v_set.last_ts) with ordinality as l (ts, place)
                order by l.place
            )),
            v_set.states, v_set.keep, v_kept.ts, v_kept.numbers, v_stored
        ) as k;

        perform features.replace_rows(
            'features.cmc_ta_daily', v_kernel.stale_ids, v_kernel.stale, v_kernel.packed
        );
        return query
        select
            a.id, a.rows_read, a.changed::bigint, a.unchanged::bigint, a.after_ts, a.last_ts, a.state
        from unnest(
            v_set.ids, v_candles.candles, v_kernel.changed, v_kernel.unchanged, v_set.after_ts,
            v_kernel.last_ts, v_kernel.states
        ) as a (id, rows_read, changed, unchanged, after_ts, last_ts, state);
    end loop;
end
$$;

comment on function features.refresh_indicators(integer[], timestamptz[]) is
    'Brings cmc_ta_daily up to date for assets, each from a ts on; counts, range and progress for refresh_assets.';
