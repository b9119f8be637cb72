-- features.refresh_indicators(p_id, p_from): bring one asset's technical indicators up to date, as what it did.
--
--     select d.rows_written from features.refresh_indicators(1, '-infinity') as d;
--
-- A step of features.refresh_assets. Where p_from is later than the last candle of the state, each
-- indicator goes on from there; otherwise all are worked out from the first candle. One that the
-- state does not know (new, or switched on again) is worked out from the first candle in any case, and
-- alone: of the others' columns only later rows are. Columns of indicators that are not active
-- keep what they have. Volumes in money (volume_unit of the asset's source) are divided by the close.
--
-- requires: functions/features/indicators_kernel.sql, functions/features/indicator_state.sql
-- requires: functions/features/replace_rows.sql, functions/features/sessions_between.sql

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

create or replace function features.refresh_indicators(p_id integer, p_from timestamptz)
returns table (
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
    v_layout  record;
    v_policy  text := (select f.null_policy from features.dim_features as f where f.feature_type = 'indicators');
    -- Indicators take volumes in units of the asset.
    v_quoted  boolean := exists (
        select
        from bars.price_state as t
        join bars.dim_sources as d using (source)
        where t.id = p_id
          and d.volume_unit = 'quote'
    );
    v_known   record;
    v_is_next boolean;
    v_missing integer[];
    v_last    timestamptz;
    v_read    timestamptz := timestamptz '-infinity';
    v_after   timestamptz := timestamptz '-infinity';
    v_keep    text[] := array[]::text[];
    v_kept    record;
    v_candles record;
    v_stored  bytea[];
    v_kernel  record;
begin
    -- No column comes between the look at the columns and the rows that are written in their order.
    lock table features.cmc_ta_daily in access share mode;
    select l.* into v_layout from features._indicator_layout() as l;

    select s.last_processed_ts, s.state
    into v_known
    from features.feature_state as s
    where s.id = p_id
      and s.feature_type = 'indicators';
    v_missing := array(
        select unnest(v_layout.ids)
        except
        select unnest(features._indicators_of(v_known.state))
    );
    v_is_next := v_known.state is not null and v_known.last_processed_ts < p_from;

    -- The candles later than v_read are read, the rows later than v_after worked out.
    if v_is_next then
        v_last := v_known.last_processed_ts;
    end if;
    if v_is_next and v_missing = '{}' then
        v_read := v_last;
        v_after := v_last;
    elsif v_is_next then
        v_keep := array(
            select c.name
            from unnest(v_layout.columns) with ordinality as c (name, place)
            where not exists (
                select
                from features.dim_indicators as i
                where i.indicator_id = any (v_missing)
                  and c.name = any (i.columns)
            )
            order by c.place
        );
    else
        v_keep := v_layout.inactive;
        if v_missing = '{}' then
            -- Rows stand from the first candle to the last, gaps included: those up to the candle before
            -- p_from stay, and every later one may come, change or go.
            select coalesce(max(b.ts), '-infinity')
            into v_after
            from bars.cmc_price_histories7 as b
            where b.id = p_id
              and b.ts < p_from;
        end if;
    end if;

    select
        array_send(features.sessions_between(
            p_id, least(min(b.ts), v_last), greatest(max(b.ts), v_last)
        )) as sessions,
        array_send(array_agg(b.ts order by b.ts)) as ts,
        array_send(array_agg(b.open order by b.ts)) as open,
        array_send(array_agg(b.high order by b.ts)) as high,
        array_send(array_agg(b.low order by b.ts)) as low,
        array_send(array_agg(b.close order by b.ts)) as close,
        array_send(array_agg(coalesce(
            case when v_quoted then b.volume / b.close else b.volume end, 'NaN'
        ) order by b.ts)) as volume,
        count(*) as read
    into v_candles
    from bars.cmc_price_histories7 as b
    where b.id = p_id
      and b.ts > v_read;

    select k.ts, k.numbers
    into v_kept
    from features._kept_columns(p_id, v_keep, v_after, coalesce(v_last, 'infinity')) as k
    where v_keep <> '{}';

    select array_agg(record_send(t))
    into v_stored
    from features.cmc_ta_daily as t
    where t.id = p_id
      and t.ts > v_after;

    select k.*
    into v_kernel
    from features.indicators_kernel(
        p_id, v_layout.columns, v_layout.active, v_policy, v_candles.sessions, v_candles.ts,
        v_candles.open, v_candles.high, v_candles.low, v_candles.close, v_candles.volume,
        timestamptz_send(v_after), timestamptz_send(coalesce(v_last, '-infinity')),
        case when v_is_next then v_known.state end,
        v_keep, v_kept.ts, v_kept.numbers, v_stored
    ) as k;

    perform features.replace_rows('features.cmc_ta_daily', p_id, v_kernel.stale, v_kernel.packed);
    return query
    select
        v_candles.read, v_kernel.changed::bigint, v_kernel.unchanged::bigint, v_after,
        v_kernel.last_ts, v_kernel.state;
end
$$;

comment on function features.refresh_indicators(integer, timestamptz) is
    'Brings cmc_ta_daily up to date for one asset from a ts on; counts, range and progress for refresh_assets.';
