-- bars.load_staged_prices(p_load, p_file, p_id, p_slug, p_columns, ...): turn staged lines into candles, as counts.
--
--     select * from bars.load_staged_prices(:load, '/data/1_bitcoin.csv', 1, 'bitcoin', '{volume}');
--
-- Every staged line ends in exactly one of the counts but the last two, which divide other_source.
-- A candle whose session has not ended at p_at is forming and left out. A day given twice with
-- other values loads neither line: which of them is right cannot be known. A column that is not in
-- p_columns leaves the stored value alone. Two loads at once follow each other.
-- An asset's candles come from one source, the first loaded. Lines of another are compared with
-- them and counted; p_extend stores those whose session has no candle, p_switch makes it the source.
-- ts is the last millisecond of the line's session: the UTC day for what is always open, up to the
-- close for an exchange. There a date means the session of that date, and so does its midnight in
-- UTC, which is how a date reads as a moment; any other moment means the session under way, or
-- between sessions the date on the exchange's clock. A date up to today that its calendar does not
-- cover is an error. p_session is the session of an asset that has no candles yet; null: CRYPTO
-- for a new one, else the asset's own.
--
-- requires: functions/bars/price_moment.sql, functions/timemodel/is_24_7.sql
-- requires: functions/timemodel/market_date.sql, functions/bars/refuse_to_reclassify.sql

create or replace function bars._number(p_text text)
returns double precision
language sql
stable parallel safe
as $$
select case when pg_input_is_valid(p_text, 'double precision') then p_text::double precision end
$$;

comment on function bars._number(text) is
    'Private: the text as a number, null when it is none.';

create or replace function bars._stamp(p_text text)
returns timestamptz
language sql
stable parallel safe
as $$
-- The pattern keeps out what a timestamp also understands: now, infinity, 1/2/2020.
select case
    when p_text ~ '^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?(Z|\+00:00)?$'
        and pg_input_is_valid(left(p_text, 10), 'date')
        and pg_input_is_valid(regexp_replace(p_text, '(Z|\+00:00)$', ''), 'timestamp')
    then regexp_replace(p_text, '(Z|\+00:00)$', '')::timestamp at time zone 'UTC'
    -- Since 1970, from 1973 to 2286: there the digits tell seconds, milli- and microseconds apart,
    -- and a date without hyphens is none of them.
    when p_text ~ '^[1-9](\d{8,9}|\d{11,12}|\d{14,15})(\.0+)?$'
    then timestamptz 'epoch' + split_part(p_text, '.', 1)::bigint * case
        when split_part(p_text, '.', 1)::bigint < 1e10 then interval '1 second'
        when split_part(p_text, '.', 1)::bigint < 1e13 then interval '1 millisecond'
        else interval '1 microsecond'
    end
end
$$;

comment on function bars._stamp(text) is
    'Private: an ISO 8601 date or time in UTC, or a time since 1970; null when the text is none.';

create or replace function bars._day(p_text text)
returns date
language sql
stable parallel safe
as $$
select (bars._stamp(p_text) at time zone 'UTC')::date
$$;

comment on function bars._day(text) is
    'Private: the date that the text names, or on which it lies in UTC; null when it is no date or time.';

create or replace function bars._name_sessions(p_load uuid, p_session timemodel.dim_sessions)
returns void
language plpgsql
volatile parallel unsafe
-- As where they are loaded: between loads the staging table is empty.
set enable_nestloop = off
as $$
begin
    with moments as materialized (
        select s.line, m.at, (m.at at time zone p_session.timezone)::date as local_date
        from bars.price_staging as s
        cross join lateral (select bars._stamp(s.day) as at) as m
        where s.load = p_load
          -- Most lines hold a date, which needs no closer look.
          and s.day !~ '^\d{4}-\d\d-\d\d$'
          and m.at <> date_trunc('day', m.at, 'UTC')
    ), meant as (
        -- The session under way has one of three dates.
        select m.line, coalesce(max(c.session_date), m.local_date) as session_date
        from moments as m
        cross join generate_series(-1, 1) as n (days)
        left join timemodel.session_calendar as c
            on c.session_id = p_session.session_id
            and c.session_date = m.local_date + n.days
            and c.opens_at <= m.at
            and c.closes_at > m.at
        group by m.line, m.local_date
    )
    update bars.price_staging as s
    set day = to_char(t.session_date, 'YYYY-MM-DD')
    from meant as t
    where s.load = p_load
      and s.line = t.line;
end
$$;

comment on function bars._name_sessions(uuid, timemodel.dim_sessions) is
    'Private: writes into staged lines that hold a moment the date of the exchange''s session it means.';

create or replace function bars._register_asset(
    p_id integer,
    p_slug text,
    p_session text
)
returns timemodel.dim_sessions
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id      integer;
    v_slug    text;
    v_session timemodel.dim_sessions;
begin
    -- A new partition of the candles takes this lock for its foreign key. Taken first,
    -- two loads follow each other; taken on the way, they would deadlock.
    lock table bars.dim_assets in share row exclusive mode;
    select a.id, a.slug
    into v_id, v_slug
    from bars.dim_assets as a
    where (a.id = p_id) <> (a.slug = p_slug)
    limit 1;
    if found then
        raise exception 'asset % is not %', p_id, p_slug
            using errcode = 'TA201',
                  detail = format('The database knows %s as asset %s.', v_slug, v_id),
                  hint = 'Correct the file''s name, <CoinMarketCap id>_<slug>.csv, or the slug in dim_assets.';
    end if;
    v_session := timemodel.session(coalesce(
        p_session,
        (select a.session_id from bars.dim_assets as a where a.id = p_id),
        'CRYPTO'
    ));
    insert into bars.dim_assets as a (id, symbol, slug, session_id)
    values (p_id, p_slug, p_slug, v_session.session_id)
    on conflict (id) do update
    set session_id = excluded.session_id
    where a.session_id <> excluded.session_id;
    if not v_session.is_24_7 then
        -- Its calendar stays as it is until these candles are committed.
        select s.*
        into v_session
        from timemodel.dim_sessions as s
        where s.session_id = v_session.session_id
        for share;
    end if;
    return v_session;
end
$$;

comment on function bars._register_asset(integer, text, text) is
    'Private: makes the asset if it is new, and holds off other loads until the transaction ends; its session.';

create or replace function bars._check_source(p_source text)
returns void
language plpgsql
stable parallel safe
as $$
begin
    if not exists (select from bars.dim_sources as d where d.source = p_source) then
        raise exception 'there is no source %', p_source
            using errcode = 'TA206',
                  detail = format(
                      'Known are %s.',
                      (select string_agg(d.source, ', ' order by d.source) from bars.dim_sources as d)
                  ),
                  hint = 'A new one is an insert into dim_sources: its name, and whether a volume of it'
                      ' counts base (units of the asset) or quote (US dollars).';
    end if;
end
$$;

comment on function bars._check_source(text) is
    'Private: raises TA206 unless a source of that name is known.';

create or replace function bars._check_calendar(
    p_load uuid,
    p_session timemodel.dim_sessions,
    p_today date
)
returns void
language plpgsql
stable parallel safe
as $$
declare
    v_first date;
    v_last  date;
begin
    select min(d.day), max(d.day)
    into v_first, v_last
    from (
        select bars._day(s.day) as day
        from bars.price_staging as s
        where s.load = p_load
        -- Keeps the text from being read once for each use of the date.
        offset 0
    ) as d
    where d.day <= p_today;
    if v_first is not null then
        perform timemodel.is_24_7(p_session.session_id, v_first, v_last);
    end if;
end
$$;

comment on function bars._check_calendar(uuid, timemodel.dim_sessions, date) is
    'Private: raises the time model''s error unless the calendar covers every line''s date up to today.';

create or replace function bars._switch_source(
    p_id integer,
    p_source text,
    p_same_unit boolean,
    p_given timestamptz[]
)
returns bigint
language plpgsql
volatile parallel unsafe
as $$
declare
    v_cleared bigint;
begin
    update bars.price_state as t set source = p_source where t.id = p_id;
    if p_same_unit then
        return 0;
    end if;
    -- A volume in another unit would be read as one of the new source's.
    update bars.cmc_price_histories7 as p
    set volume = null
    where p.id = p_id
      and p.volume is not null
      and p.ts not in (select g.ts from unnest(p_given) as g (ts));
    get diagnostics v_cleared = row_count;
    return v_cleared;
end
$$;

comment on function bars._switch_source(integer, text, boolean, timestamptz[]) is
    'Private: makes a load''s source the asset''s, and clears volumes of another unit; how many.';

create or replace function bars.load_staged_prices(
    p_load uuid,
    p_file text,
    p_id integer,
    p_slug text,
    p_columns text[],
    p_at timestamptz default now(),
    p_source text default 'coinmarketcap',
    p_sha256 text default null,
    p_extend boolean default false,
    p_switch boolean default false,
    p_session text default null
)
returns table (
    loaded          bigint,
    unchanged       bigint,
    revised         bigint,
    rejected        bigint,
    forming         bigint,
    other_source    bigint,
    other_differing bigint,
    other_new       bigint
)
language plpgsql
volatile parallel unsafe
-- A whole file is joined to a whole asset, however few rows the statistics expect:
-- between loads the staging table is empty.
set enable_nestloop = off
as $$
declare
    v_session   timemodel.dim_sessions;
    v_today     date;
    v_symbol    text;
    v_as_of     date;
    v_given     timestamptz[];
    v_source    text;
    v_is_own    boolean;
    v_same_unit boolean;
    v_columns   text[] := p_columns;
    v_written   bigint;
    v_at        timestamptz;
begin
    v_session := bars._register_asset(p_id, p_slug, p_session);
    if v_session.is_24_7 then
        v_today := (p_at at time zone 'UTC')::date;
    else
        v_today := timemodel.market_date(v_session.session_id, p_at);
        perform bars._name_sessions(p_load, v_session);
        perform bars._check_calendar(p_load, v_session, v_today);
    end if;
    select s.ticker, bars._day(s.day)
    into v_symbol, v_as_of
    from bars.price_staging as s
    where s.load = p_load
      and s.ticker <> ''
      and bars._day(s.day) <= v_today
    order by bars._day(s.day) desc, s.line
    limit 1;
    perform bars._check_source(p_source);
    select t.source into v_source from bars.price_state as t where t.id = p_id;
    v_is_own := v_source is null or v_source = p_source or p_switch;
    v_same_unit := v_source is null or (
        select count(distinct d.volume_unit) = 1
        from bars.dim_sources as d
        where d.source in (v_source, p_source)
    );
    if not v_is_own and not v_same_unit then
        v_columns := array_remove(v_columns, 'volume');
    end if;
    insert into bars.loads (load, file, sha256, source, id, source_before)
    values (p_load, p_file, p_sha256, p_source, p_id, v_source);
    -- Tickers change; an older file must not bring the old one back.
    update bars.dim_assets as a
    set symbol = v_symbol
    where a.id = p_id
      and v_is_own
      and a.symbol <> v_symbol
      and (
          a.symbol = a.slug
          or not exists (
              select
              from bars.cmc_price_histories7 as p
              where p.id = p_id
                and p.ts >= (v_as_of + 1)::timestamp at time zone v_session.timezone
          )
      );

    -- Materialized: each text is read as a number once, not once for every rule below.
    with cells as materialized (
        select
            s.*,
            bars._day(s.day) as session_date,
            bars._number(s.open) as n_open,
            bars._number(s.high) as n_high,
            bars._number(s.low) as n_low,
            bars._number(s.close) as n_close,
            bars._number(s.volume) as n_volume,
            bars._number(s.market_cap) as n_market_cap,
            bars._stamp(s.time_high) as at_high,
            bars._stamp(s.time_low) as at_low
        from bars.price_staging as s
        where s.load = p_load
    ), candles as (
        select
            c.line,
            c.raw,
            case
                when v_session.is_24_7
                then (c.session_date + time '23:59:59.999') at time zone 'UTC'
                else k.closes_at - interval '1 millisecond'
            end as ts,
            c.n_open as open,
            c.n_high as high,
            c.n_low as low,
            c.n_close as close,
            c.n_volume as volume,
            nullif(c.n_market_cap, 0) as market_cap,
            c.at_high as time_high,
            c.at_low as time_low,
            case
                when c.fault is not null then c.fault
                when c.day = '' then 'date missing'
                when c.session_date is null then 'date unparsable'
                when c.session_date > v_today then 'future date'
                when not v_session.is_24_7 and k.session_date is null then 'not a session'
                -- CoinMarketCap's id of the US dollar.
                when c.quote <> '2781' then 'not in US dollars'
                when '' = any (array[c.open, c.high, c.low, c.close]) then 'price missing'
                when num_nulls(c.n_open, c.n_high, c.n_low, c.n_close) > 0 then 'price unparsable'
                -- NaN is greater than every number, infinity included.
                when greatest(c.n_open, c.n_high, c.n_low, c.n_close) >= 'infinity'
                    then 'price not a number'
                when least(c.n_open, c.n_high, c.n_low, c.n_close) <= 0 then 'price not positive'
                when c.n_high < greatest(c.n_open, c.n_low, c.n_close) then 'high is not the highest'
                when c.n_low > least(c.n_open, c.n_close) then 'low is not the lowest'
                when c.volume <> '' and c.n_volume is null then 'volume unparsable'
                when c.n_volume < 0 or c.n_volume >= 'infinity' then 'volume not a number from 0'
                when c.market_cap <> '' and c.n_market_cap is null then 'market cap unparsable'
                when c.n_market_cap < 0 or c.n_market_cap >= 'infinity'
                    then 'market cap not a number from 0'
                when c.time_high <> '' and c.at_high is null then 'time of the high unparsable'
                when c.time_low <> '' and c.at_low is null then 'time of the low unparsable'
            end as reason
        from cells as c
        left join timemodel.session_calendar as k
            on k.session_id = v_session.session_id
            and k.session_date = c.session_date
    ), disputed as (
        select c.ts
        from candles as c
        where c.reason is null
        group by c.ts
        having count(distinct row (
            c.open, c.high, c.low, c.close, c.volume, c.market_cap, c.time_high, c.time_low
        )) > 1
    ), compared as (
        select
            c.line,
            c.raw,
            c.ts,
            c.open,
            c.high,
            c.low,
            c.close,
            case when 'volume' = any (v_columns) then c.volume else p.volume end as volume,
            case when 'market_cap' = any (v_columns) then c.market_cap else p.market_cap end as market_cap,
            case when 'time_high' = any (v_columns) then c.time_high else p.time_high end as time_high,
            case when 'time_low' = any (v_columns) then c.time_low else p.time_low end as time_low,
            coalesce(c.reason, case when d.ts is not null then 'duplicate with other values' end) as reason,
            row_number() over (partition by c.ts, c.reason order by c.line) > 1 as is_repeated,
            p.id is not null as is_stored,
            -- Both are above 0.
            abs(c.open - p.open) >= 1e-7 * greatest(c.open, p.open)
            or abs(c.high - p.high) >= 1e-7 * greatest(c.high, p.high)
            or abs(c.low - p.low) >= 1e-7 * greatest(c.low, p.low)
            or abs(c.close - p.close) >= 1e-7 * greatest(c.close, p.close) as is_differing,
            row (p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low) as stored
        from candles as c
        left join disputed as d on d.ts = c.ts
        left join bars.cmc_price_histories7 as p on p.id = p_id and p.ts = c.ts
    ), judged as (
        select
            c.*,
            case
                when c.reason is not null then 'rejected'
                when c.ts >= p_at then 'forming'
                when not v_is_own and (c.is_stored or not p_extend) then 'other source'
                when c.is_repeated then 'unchanged'
                when not c.is_stored then 'loaded'
                when c.stored is distinct from row (
                    c.open, c.high, c.low, c.close, c.volume, c.market_cap, c.time_high, c.time_low
                ) then 'revised'
                else 'unchanged'
            end as verdict
        from compared as c
    ), written as (
        insert into bars.cmc_price_histories7 as p (
            id, ts, open, high, low, close, volume, market_cap, time_high, time_low
        )
        select
            p_id, j.ts, j.open, j.high, j.low, j.close, j.volume, j.market_cap, j.time_high, j.time_low
        from judged as j
        where j.verdict in ('loaded', 'revised')
        on conflict (id, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume,
            market_cap = excluded.market_cap,
            time_high = excluded.time_high,
            time_low = excluded.time_low
    ), refused as (
        insert into bars.price_rejects as r (load, file, line, raw, reason)
        select p_load, p_file, j.line, left(j.raw, 2000), j.reason
        from judged as j
        where j.verdict = 'rejected'
        on conflict (file, line, raw_md5) do update
        set reason = excluded.reason,
            load = excluded.load
        where r.reason <> excluded.reason
    )
    select
        count(*) filter (where j.verdict = 'loaded'),
        count(*) filter (where j.verdict = 'unchanged'),
        count(*) filter (where j.verdict = 'revised'),
        count(*) filter (where j.verdict = 'rejected'),
        count(*) filter (where j.verdict = 'forming'),
        count(*) filter (where j.verdict = 'other source'),
        count(*) filter (where j.verdict = 'other source' and j.is_differing),
        count(*) filter (where j.verdict = 'other source' and not j.is_stored),
        array_agg(j.ts)
    into
        loaded, unchanged, revised, rejected, forming, other_source, other_differing, other_new,
        v_given
    from judged as j;

    v_written := loaded + revised;
    if v_is_own and loaded + unchanged + revised > 0 and v_source is distinct from p_source then
        v_written := v_written + bars._switch_source(p_id, p_source, v_same_unit, v_given);
    end if;
    if v_written > 0 then
        v_at := bars.price_moment(p_id);
    end if;
    update bars.loads as l
    set finished_at = clock_timestamp(),
        recorded_at = v_at,
        loaded = load_staged_prices.loaded,
        unchanged = load_staged_prices.unchanged,
        revised = load_staged_prices.revised,
        rejected = load_staged_prices.rejected,
        forming = load_staged_prices.forming,
        other_source = load_staged_prices.other_source,
        other_differing = load_staged_prices.other_differing,
        other_new = load_staged_prices.other_new
    where l.load = p_load;
    delete from bars.price_staging as s where s.load = p_load;
    return next;
end
$$;

comment on function bars.load_staged_prices(
    uuid, text, integer, text, text[], timestamptz, text, text, boolean, boolean, text
) is
    'Upserts the candles of one staged load, keeps what it rejects, and says how many lines became what.';
