-- bars.ladder(p_id, p_tf_ids, p_first, p_after, p_stored, p_until, p_known_at): one asset's bars from its candles, as packed rows that differ.
--
--     select l.*
--     from bars.ladder(1, array[1, 158], first_ts, last_ts, stored) as l;
--
-- Reads the candles and the sessions that the bars that end at p_after or later depend on: before it as
-- many as the longest of the timeframes has, all of them where p_after is minus infinity. p_first is the ts of the asset's first
-- candle. With p_until the bars that are unfinished at that moment come as forming, from the candles
-- up to it. With p_known_at the candles are those that stood in the tables then, of which p_first is the first.
--
-- requires: functions/bars/ladder_kernel.sql, functions/timemodel/is_24_7.sql
-- requires: functions/bars/prices_as_of.sql

-- The session of a candle, and an error when it has none: what is counted from it would be wrong.
create or replace function bars._session_of(p_id integer, p_session_id text, p_ts timestamptz)
returns timemodel.session_calendar
language plpgsql
stable parallel safe
as $$
declare
    v_session timemodel.session_calendar;
    v_day     date := (p_ts at time zone 'UTC')::date;
begin
    perform timemodel.is_24_7(p_session_id, v_day, v_day);
    select c.*
    into v_session
    from timemodel.session_calendar as c
    where c.session_id = p_session_id
      and c.session_date between v_day - 1 and v_day + 1
      and c.closes_at = p_ts + interval '1 millisecond';
    if not found then
        raise exception 'a candle belongs to no session'
            using errcode = 'TA233',
                  detail = format('Asset %s, %s.', p_id, p_ts at time zone 'UTC'),
                  hint = 'A candle''s ts is the last millisecond of its session; correct or delete it.';
    end if;
    return v_session;
end
$$;

comment on function bars._session_of(integer, text, timestamptz) is
    'Private: the session that a candle closes; an error when there is none.';

create or replace function bars.ladder(
    p_id integer,
    p_tf_ids integer[],
    p_first timestamptz,
    p_after timestamptz,
    p_stored bytea[],
    p_until timestamptz default null,
    p_known_at timestamptz default null
)
returns table (
    rows_read bigint,
    last_ts timestamptz,
    unchanged integer,
    stale_tf_ids integer[],
    stale timestamptz[],
    changed integer,
    packed bytea,
    forming jsonb
)
language plpgsql
stable parallel unsafe
as $$
declare
    c_longest  constant integer := 366;
    v_market   timemodel.dim_sessions;
    v_first    timemodel.session_calendar;
    v_last     timemodel.session_calendar;
    v_longest  integer := (
        select coalesce(max(least(t.tf_days_max, c_longest)), c_longest)
        from timemodel.dim_timeframe as t
        where t.tf_id = any (p_tf_ids)
    );
    v_from     timestamptz := p_after - v_longest * interval '24 hours';
    v_from_no  integer;
    v_day      integer := (p_first at time zone 'UTC')::date - date '1970-01-01';
    v_previous integer := v_day - 1;
    v_beyond   date;
    v_candles  bytea[];
    v_sessions bytea[];
    v_spans    record;
begin
    select d.*
    into strict v_market
    from bars.dim_assets as a
    join timemodel.dim_sessions as d using (session_id)
    where a.id = p_id;

    if not v_market.is_24_7 and p_first is not null then
        v_first := bars._session_of(p_id, v_market.session_id, p_first);
        v_day := v_first.session_date - date '1970-01-01';
        select max(c.session_date) - date '1970-01-01'
        into v_previous
        from timemodel.session_calendar as c
        where c.session_id = v_market.session_id
          and c.session_date < v_first.session_date;
        if p_after = '-infinity' then
            select min(c.session_no)
            into v_from_no
            from timemodel.session_calendar as c
            where c.session_id = v_market.session_id
              and c.session_date >= v_first.session_date - c_longest;
        else
            v_from_no := greatest(
                (bars._session_of(p_id, v_market.session_id, p_after)).session_no - v_longest, 0
            );
            select c.opens_at
            into v_from
            from timemodel.session_calendar as c
            where c.session_id = v_market.session_id
              and c.session_no = v_from_no;
        end if;
    end if;

    select
        count(*),
        max(c.ts),
        array[
            array_send(array_agg(c.ts order by c.ts)),
            array_send(array_agg(c.open order by c.ts)),
            array_send(array_agg(c.high order by c.ts)),
            array_send(array_agg(c.low order by c.ts)),
            array_send(array_agg(c.close order by c.ts)),
            array_send(array_agg(coalesce(c.volume, 'NaN') order by c.ts)),
            array_send(array_agg(coalesce(c.market_cap, 'NaN') order by c.ts)),
            array_send(array_agg(coalesce(c.time_high, c.ts) order by c.ts)),
            array_send(array_agg(coalesce(c.time_low, c.ts) order by c.ts))
        ]
    into rows_read, last_ts, v_candles
    from (
        select
            h.ts, h.open, h.high, h.low, h.close, h.volume, h.market_cap, h.time_high, h.time_low
        from bars.cmc_price_histories7 as h
        where p_known_at is null
          and h.id = p_id
        union all
        select
            k.ts, k.open, k.high, k.low, k.close, k.volume, k.market_cap, k.time_high, k.time_low
        from bars.prices_as_of(p_known_at, array[p_id]) as k
        where p_known_at is not null
    ) as c
    where c.ts >= v_from
      and c.ts <= coalesce(p_until, 'infinity');

    if not v_market.is_24_7 and last_ts is not null then
        v_last := bars._session_of(p_id, v_market.session_id, last_ts);
        -- Whether the last bar is closed depends on the session that comes next. Where the calendar ends
        -- with the last candle, all that is known of that one is that it comes after the calendar.
        if not exists (
            select
            from timemodel.session_calendar as c
            where c.session_id = v_market.session_id
              and c.session_no > v_last.session_no
        ) then
            v_beyond := greatest(v_market.calendar_to, v_last.session_date) + 1;
            raise warning 'asset %: the calendar of % ends on %, where its candles do',
                p_id, v_market.session_id, v_market.calendar_to
                using detail = 'A bar that ends with that candle is stored once it is known that no session of it is to come.',
                      hint = format('`ta-lab2 calendar refresh --session %s` loads two years ahead.', v_market.session_id);
        end if;
        select array[
            array_send(array_agg(s.session_date order by s.session_date)),
            array_send(array_agg(s.opens_at order by s.session_date)),
            array_send(array_agg(s.closes_at - interval '1 millisecond' order by s.session_date))
        ]
        into v_sessions
        from (
            select c.session_date, c.opens_at, c.closes_at
            from timemodel.session_calendar as c
            where c.session_id = v_market.session_id
              and c.session_no between v_from_no and v_last.session_no
                  + case when p_until is null then 1 else c_longest + 1 end
            union all
            select n.day, n.day::timestamp at time zone 'UTC', (n.day + 1)::timestamp at time zone 'UTC'
            from (values (v_beyond)) as n (day)
            where n.day is not null
        ) as s;
    end if;

    select
        coalesce(array_agg(t.tf_id order by t.tf_id), '{}') as ids,
        array_agg(
            case
                when t.alignment = 'trading' then 'session'
                when t.base_unit = 'D' then 'day'
                when t.base_unit = 'W' then lower(t.calendar_scheme) || ' week'
                when t.base_unit = 'M' then 'month'
                else 'year'
            end
            order by t.tf_id
        ) as units,
        array_agg(
            t.tf_qty * case
                when t.alignment = 'trading' and t.base_unit = 'W' then v_market.trading_days_per_week
                else 1
            end
            order by t.tf_id
        ) as counts,
        array_agg(t.anchor is not null order by t.tf_id) as anchored
    into v_spans
    from timemodel.dim_timeframe as t
    where t.tf_id = any (p_tf_ids);

    select k.unchanged, k.stale_tf_ids, k.stale, k.changed, k.packed, k.forming
    into unchanged, stale_tf_ids, stale, changed, packed, forming
    from bars.ladder_kernel(
        p_id, v_spans.ids, v_spans.units, v_spans.counts, v_spans.anchored,
        v_day, v_previous, v_from_no - v_first.session_no, v_sessions, v_candles,
        timestamptz_send(p_after), timestamptz_send(p_until), p_stored
    ) as k;
    return next;
end
$$;

comment on function bars.ladder(
    integer, integer[], timestamptz, timestamptz, bytea[], timestamptz, timestamptz
) is 'Bars of some timeframes of one asset that end at or after a ts: what is stale of those stored, what takes their place, or what is unfinished.';
