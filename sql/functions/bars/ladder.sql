-- bars.ladder(p_ids, p_tf_ids, p_firsts, p_afters, p_stored, p_until, p_known_at): bars of a set of assets from their candles, as packed rows that differ.
--
--     select l.*
--     from bars.ladder('{7}', array[1, 158], array[first_ts], array[last_ts], stored) as l;
--
-- p_ids are in order, p_firsts has the ts of each asset's first candle. Reads the candles and the sessions that
-- the bars that end at p_afters or later depend on: before it as many as the longest of the
-- timeframes has, all of them where it is minus infinity. With p_until the bars of one asset that
-- are unfinished at that moment come as forming, from the candles up to it. With p_known_at the
-- candles are those that stood in the tables then, of which p_firsts has the first.
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

-- Of a market that is always open all of it follows from the dates: strict, so null for its session gives no row.
create or replace function bars._reach_of(
    p_id integer,
    p_session_id text,
    p_first timestamptz,
    p_after timestamptz,
    p_longest integer
)
returns table (day date, previous date, first_no integer, from_no integer, from_ts timestamptz)
language plpgsql
stable strict parallel unsafe
as $$
declare
    c_longest constant integer := 366;
    v_first   timemodel.session_calendar := bars._session_of(p_id, p_session_id, p_first);
begin
    day := v_first.session_date;
    first_no := v_first.session_no;
    from_ts := '-infinity';
    select max(c.session_date)
    into previous
    from timemodel.session_calendar as c
    where c.session_id = p_session_id
      and c.session_date < v_first.session_date;
    if p_after = '-infinity' then
        select min(c.session_no)
        into from_no
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_date >= v_first.session_date - c_longest;
    else
        from_no := greatest((bars._session_of(p_id, p_session_id, p_after)).session_no - p_longest, 0);
        select c.opens_at
        into from_ts
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_no = from_no;
    end if;
    return next;
end
$$;

comment on function bars._reach_of(integer, text, timestamptz, timestamptz, integer) is
    'Private: the session of an asset''s first candle and the one before it, and where the bars that end at or after a ts begin.';

create or replace function bars._sessions_of(
    p_id integer,
    p_session_id text,
    p_from_no integer,
    p_last timestamptz,
    p_beyond integer
)
returns bytea[]
language plpgsql
stable parallel unsafe
as $$
declare
    v_last   timemodel.session_calendar := bars._session_of(p_id, p_session_id, p_last);
    v_to     date;
    v_beyond date;
    v_found  bytea[];
begin
    -- Whether the last bar is closed depends on the session that comes next. Where the calendar ends
    -- with the last candle, all that is known of that one is that it comes after the calendar.
    if not exists (
        select
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_no > v_last.session_no
    ) then
        select d.calendar_to
        into v_to
        from timemodel.dim_sessions as d
        where d.session_id = p_session_id;
        v_beyond := greatest(v_to, v_last.session_date) + 1;
        raise warning 'asset %: the calendar of % ends on %, where its candles do', p_id, p_session_id, v_to
            using detail = 'A bar that ends with that candle is stored once it is known that no session of it is to come.',
                  hint = format('`ta-lab2 calendar refresh --session %s` loads two years ahead.', p_session_id);
    end if;
    select array[
        array_send(array_agg(s.session_date order by s.session_date)),
        array_send(array_agg(s.opens_at order by s.session_date)),
        array_send(array_agg(s.closes_at - interval '1 millisecond' order by s.session_date))
    ]
    into v_found
    from (
        select c.session_date, c.opens_at, c.closes_at
        from timemodel.session_calendar as c
        where c.session_id = p_session_id
          and c.session_no between p_from_no and v_last.session_no + p_beyond
        union all
        select n.day, n.day::timestamp at time zone 'UTC', (n.day + 1)::timestamp at time zone 'UTC'
        from (values (v_beyond)) as n (day)
        where n.day is not null
    ) as s;
    return v_found;
end
$$;

comment on function bars._sessions_of(integer, text, integer, timestamptz, integer) is
    'Private: days, openings and last milliseconds of an exchange''s sessions, to so many after that of the last candle.';

create or replace function bars.ladder(
    p_ids integer[],
    p_tf_ids integer[],
    p_firsts timestamptz[],
    p_afters timestamptz[],
    p_stored bytea[],
    p_until timestamptz default null,
    p_known_at timestamptz default null,
    out rows_read bigint[],
    out last_ts timestamptz[],
    out unchanged integer[],
    out changed integer[],
    out stale_ids integer[],
    out stale_tf_ids integer[],
    out stale timestamptz[],
    out packed bytea,
    out forming jsonb
)
language plpgsql
stable parallel unsafe
as $$
declare
    c_longest constant integer := 366;
    v_longest integer := (
        select coalesce(max(least(t.tf_days_max, c_longest)), c_longest)
        from timemodel.dim_timeframe as t
        where t.tf_id = any (p_tf_ids)
    );
    v_spans   record;
    v_assets  record;
    v_least   timestamptz;
    v_read    record;
    v_kernel  record;
begin
    select
        array_agg(t.tf_id order by t.tf_id) as ids,
        array_agg(
            case
                when t.alignment = 'trading' and t.base_unit = 'W' then 'session week'
                when t.alignment = 'trading' then 'session'
                when t.base_unit = 'D' then 'day'
                when t.base_unit = 'W' then lower(t.calendar_scheme) || ' week'
                when t.base_unit = 'M' then 'month'
                else 'year'
            end
            order by t.tf_id
        ) as units,
        array_agg(t.tf_qty order by t.tf_id) as counts,
        array_agg(t.anchor is not null order by t.tf_id) as anchored
    into v_spans
    from timemodel.dim_timeframe as t
    where t.tf_id = any (p_tf_ids);

    select
        array_agg(case when not d.is_24_7 then d.session_id end order by n.id) as exchanges,
        array_agg(d.trading_days_per_week order by n.id) as weeks,
        array_agg(coalesce(r.day, u.day) - date '1970-01-01' order by n.id) as days,
        array_agg(
            case when d.is_24_7 then u.day - 1 else r.previous end - date '1970-01-01' order by n.id
        ) as previous,
        array_agg(r.from_no order by n.id) as from_nos,
        array_agg(r.from_no - r.first_no order by n.id) as offsets,
        array_agg(
            coalesce(r.from_ts, n.after_ts - v_longest * interval '24 hours') order by n.id
        ) as from_ts
    into v_assets
    from unnest(p_ids, p_firsts, p_afters) as n (id, first_ts, after_ts)
    join bars.dim_assets as a on a.id = n.id
    join timemodel.dim_sessions as d using (session_id)
    cross join lateral (select (n.first_ts at time zone 'UTC')::date as day) as u
    left join lateral bars._reach_of(
        n.id, case when not d.is_24_7 then d.session_id end, n.first_ts, n.after_ts, v_longest
    ) as r on true;

    -- Only a bound that is known before the read leaves partitions out.
    v_least := (select min(f.ts) from unnest(v_assets.from_ts) as f (ts));
    select
        array_agg(c.candles order by n.id) as rows,
        array_agg(c.last_ts order by n.id) as last_ts,
        array_agg(
            array[
                array_send(c.ts), array_send(c.open), array_send(c.high), array_send(c.low),
                array_send(c.close), array_send(c.volume), array_send(c.market_cap),
                array_send(c.time_high), array_send(c.time_low)
            ]
            order by n.id
        ) as candles,
        array_agg(
            case
                when n.exchange is null or c.last_ts is null then array[null, null, null]::bytea[]
                else bars._sessions_of(
                    n.id, n.exchange, n.from_no, c.last_ts, case when p_until is null then 1 else c_longest + 1 end
                )
            end
            order by n.id
        ) as sessions
    into v_read
    from unnest(p_ids, v_assets.exchanges, v_assets.from_nos, v_assets.from_ts)
        as n (id, exchange, from_no, from_ts)
    cross join lateral (
        select
            count(*) as candles,
            max(k.ts) as last_ts,
            array_agg(k.ts order by k.ts) as ts,
            array_agg(k.open order by k.ts) as open,
            array_agg(k.high order by k.ts) as high,
            array_agg(k.low order by k.ts) as low,
            array_agg(k.close order by k.ts) as close,
            array_agg(coalesce(k.volume, 'NaN') order by k.ts) as volume,
            array_agg(coalesce(k.market_cap, 'NaN') order by k.ts) as market_cap,
            array_agg(coalesce(k.time_high, k.ts) order by k.ts) as time_high,
            array_agg(coalesce(k.time_low, k.ts) order by k.ts) as time_low
        from (
            select
                h.ts, h.open, h.high, h.low, h.close, h.volume, h.market_cap, h.time_high, h.time_low
            from bars.cmc_price_histories7 as h
            where p_known_at is null
              and h.id = n.id
              and h.ts >= v_least
            union all
            select
                p.ts, p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low
            from bars.prices_as_of(p_known_at, array[n.id]) as p
            where p_known_at is not null
        ) as k
        where k.ts >= n.from_ts
          and k.ts <= coalesce(p_until, 'infinity')
    ) as c;

    v_kernel := bars.ladder_kernel(
        p_ids, v_spans.ids, v_spans.units, v_spans.counts, v_spans.anchored, v_assets.weeks,
        v_assets.days, v_assets.previous, v_assets.offsets, v_read.sessions, v_read.candles,
        array_send(p_afters), timestamptz_send(p_until), p_stored
    );
    rows_read := v_read.rows;
    last_ts := v_read.last_ts;
    unchanged := v_kernel.unchanged;
    changed := v_kernel.changed;
    stale_ids := v_kernel.stale_ids;
    stale_tf_ids := v_kernel.stale_tf_ids;
    stale := v_kernel.stale;
    packed := v_kernel.packed;
    forming := v_kernel.forming;
end
$$;

comment on function bars.ladder(
    integer[], integer[], timestamptz[], timestamptz[], bytea[], timestamptz, timestamptz
) is 'Bars of some timeframes of assets that end at or after a ts: what is stale of those stored, what takes their place, or what is unfinished.';
