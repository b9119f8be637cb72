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
-- cover is an error, one before 1900 is rejected. p_session is the session of an asset that has no
-- candles yet; null: CRYPTO for a new one, else the asset's own.
--
-- requires: functions/bars/price_moment.sql, functions/timemodel/is_24_7.sql
-- requires: functions/timemodel/market_date.sql, functions/bars/refuse_to_reclassify.sql
-- requires: functions/bars/staged_lines.sql, functions/bars/candle_fault.sql
-- requires: functions/bars/prices_differ.sql, functions/bars/line_verdict.sql
-- requires: functions/bars/begin_load.sql, functions/bars/end_load.sql, functions/bars/is_name.sql

create or replace function bars._name_sessions(p_load uuid, p_session timemodel.dim_sessions)
returns void
language plpgsql
volatile parallel unsafe
-- As where they are loaded: between loads the staging table is empty.
set enable_nestloop = off
as $$
begin
    -- Each line in a row of its own, which can be written to.
    with lines as materialized (
        select l.* from bars.staged_lines(p_load) as l
    ), gone as (
        delete from bars.price_staging as s where s.load = p_load returning s.line
    )
    insert into bars.price_staging (
        load, line, raw, fault, day, ticker, quote,
        open, high, low, close, volume, market_cap, time_high, time_low
    )
    select
        p_load, l.line, l.raw, l.fault, l.day, l.ticker, l.quote,
        l.open, l.high, l.low, l.close, l.volume, l.market_cap, l.time_high, l.time_low
    from lines as l
    -- Asked for, so that they are gone before.
    where (select count(*) from gone) > 0;
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
        select bars._day(l.day) as day
        from bars.staged_lines(p_load) as l
        -- Keeps the text from being read once for each use of the date.
        offset 0
    ) as d
    where d.day between '1900-01-01' and p_today;
    if v_first is not null then
        perform timemodel.is_24_7(p_session.session_id, v_first, v_last);
    end if;
end
$$;

comment on function bars._check_calendar(uuid, timemodel.dim_sessions, date) is
    'Private: raises the time model''s error unless the calendar covers every line''s date up to today.';

create or replace function bars._name_ticker(p_load uuid, p_id integer, p_today date, p_last date)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_symbol text;
    v_as_of  date;
begin
    select d.ticker, d.day
    into v_symbol, v_as_of
    from (
        select l.line, l.ticker, bars._day(l.day) as day
        from bars.staged_lines(p_load) as l
        where l.ticker <> ''
        -- Keeps the text from being read once for each use of the date.
        offset 0
    ) as d
    where d.day <= p_today
    order by d.day desc, d.line
    limit 1;
    update bars.dim_assets as a
    set symbol = v_symbol
    where a.id = p_id
      and a.symbol <> v_symbol
      and bars.is_name(v_symbol)
      -- Tickers change; an older file must not bring the old one back.
      and (a.symbol = a.slug or p_last is null or p_last <= v_as_of);
end
$$;

comment on function bars._name_ticker(uuid, integer, date, date) is
    'Private: gives the asset the ticker of the newest line, unless candles after it were stored before.';

create or replace function bars._hold_prices(p_id integer)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    perform from bars.price_state as t where t.id = p_id for update;
    if not found then
        -- Of an asset without candles there is no row yet, and nobody else may make it now.
        lock table bars.price_state in share row exclusive mode;
    end if;
end
$$;

comment on function bars._hold_prices(integer) is
    'Private: keeps other clients from writing the asset''s candles until the transaction ends.';

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
    v_session        timemodel.dim_sessions;
    v_has_volume     boolean;
    v_has_market_cap boolean := 'market_cap' = any (p_columns);
    v_has_time_high  boolean := 'time_high' = any (p_columns);
    v_has_time_low   boolean := 'time_low' = any (p_columns);
    v_switches       boolean;
    v_symbol         text;
    v_last           date;
    v_is_renamed     boolean;
    v_today          date;
    v_begun          record;
    v_trusts         boolean := bars._may_be_trusted(p_load);
    v_given          timestamptz[];
    v_revised        bars.price_revisions[];
    v_written        bigint;
begin
    v_session := bars._register_asset(p_id, p_slug, p_session);
    if v_session.is_24_7 then
        v_today := (p_at at time zone 'UTC')::date;
    else
        v_today := timemodel.market_date(v_session.session_id, p_at);
        perform bars._name_sessions(p_load, v_session);
        perform bars._check_calendar(p_load, v_session, v_today);
    end if;
    perform bars._hold_prices(p_id);
    select b.*
    into v_begun
    from bars.begin_load(p_load, p_file, p_id, p_source, p_sha256, p_switch) as b;
    select a.symbol into v_symbol from bars.dim_assets as a where a.id = p_id;
    select (max(p.ts) at time zone v_session.timezone)::date
    into v_last
    from bars.cmc_price_histories7 as p
    where p.id = p_id;
    v_has_volume := 'volume' = any (p_columns) and (v_begun.is_own or v_begun.is_same_unit);
    v_switches := v_begun.is_own and v_begun.source_before is distinct from p_source;

    loop
        begin
            with candles as materialized (
                select
                    c.line,
                    c.raw,
                    c.ticker <> v_symbol and c.ticker <> '' as is_renamed,
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
                        when c.session_date is null and c.day = '' then 'date missing'
                        when c.session_date is null then 'date unparsable'
                        when c.session_date > v_today then 'future date'
                        -- A clock that was never set says the year 1 or such; millions of sessions would follow.
                        when c.session_date < '1900-01-01' then 'date before 1900'
                        when not v_session.is_24_7 and k.session_date is null then 'not a session'
                        -- CoinMarketCap's id of the US dollar.
                        when c.quote <> '2781' then 'not in US dollars'
                        else coalesce(
                            bars.candle_fault(
                                c.open, c.high, c.low, c.close, c.volume,
                                c.n_open, c.n_high, c.n_low, c.n_close, c.n_volume
                            ),
                            case
                                when c.market_cap <> '' and c.n_market_cap is null then 'market cap unparsable'
                                when c.n_market_cap < 0 or c.n_market_cap >= 'infinity'
                                    then 'market cap not a number from 0'
                                when c.time_high <> '' and c.at_high is null then 'time of the high unparsable'
                                when c.time_low <> '' and c.at_low is null then 'time of the low unparsable'
                            end
                        )
                    end as reason
                from (
                    select
                        l.*,
                        bars._day(l.day, v_trusts) as session_date,
                        bars._number(l.open, v_trusts) as n_open,
                        bars._number(l.high, v_trusts) as n_high,
                        bars._number(l.low, v_trusts) as n_low,
                        bars._number(l.close, v_trusts) as n_close,
                        bars._number(l.volume, v_trusts) as n_volume,
                        bars._number(l.market_cap, v_trusts) as n_market_cap,
                        case when v_has_time_high then bars._stamp(l.time_high) end as at_high,
                        case when v_has_time_low then bars._stamp(l.time_low) end as at_low
                    from bars.staged_lines(p_load) as l
                    -- Each text is read as a number once, not once for every rule above.
                    offset 0
                ) as c
                left join timemodel.session_calendar as k
                    on k.session_id = v_session.session_id
                    and k.session_date = c.session_date
            ), repeated as (
                select c.ts
                from candles as c
                where c.reason is null
                group by c.ts
                having count(*) > 1
            ), repetitions as materialized (
                select
                    c.ts,
                    min(c.line) as first_line,
                    count(distinct row (
                        c.open, c.high, c.low, c.close, c.volume, c.market_cap, c.time_high, c.time_low
                    )) > 1 as is_disputed
                from repeated as r
                join candles as c on c.ts = r.ts and c.reason is null
                group by c.ts
            ), judged as materialized (
                select
                    c.line,
                    c.ts,
                    c.open,
                    c.high,
                    c.low,
                    c.close,
                    n.volume,
                    n.market_cap,
                    n.time_high,
                    n.time_low,
                    n.reason,
                    case when n.reason is not null then left(c.raw, 2000) end as raw,
                    -- Asked for of another source only.
                    not v_begun.is_own and bars.prices_differ(
                        c.open, c.high, c.low, c.close, p.open, p.high, p.low, p.close
                    ) as is_differing,
                    p.id is null as is_new,
                    c.is_renamed,
                    bars.line_verdict(
                        n.reason,
                        c.ts >= p_at,
                        v_begun.is_own,
                        p_extend,
                        p.id is not null,
                        row (
                            p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low
                        ) is not distinct from row (
                            c.open, c.high, c.low, c.close, n.volume, n.market_cap, n.time_high, n.time_low
                        ),
                        c.line > r.first_line
                    ) as verdict
                from candles as c
                left join repetitions as r on r.ts = c.ts and c.reason is null
                left join bars.cmc_price_histories7 as p on p.id = p_id and p.ts = c.ts
                cross join lateral (
                    select
                        case when v_has_volume then c.volume else p.volume end as volume,
                        case when v_has_market_cap then c.market_cap else p.market_cap end as market_cap,
                        case when v_has_time_high then c.time_high else p.time_high end as time_high,
                        case when v_has_time_low then c.time_low else p.time_low end as time_low,
                        coalesce(
                            c.reason, case when r.is_disputed then 'duplicate with other values' end
                        ) as reason
                ) as n
            ), moment as materialized (
                select bars.price_moment(p_id) as at
                where exists (select from judged as j where j.verdict = 'loaded')
            ), written as (
                insert into bars.cmc_price_histories7 as p (
                    id, ts, open, high, low, close, volume, market_cap, time_high, time_low, recorded_at
                )
                select
                    p_id, j.ts, j.open, j.high, j.low, j.close, j.volume, j.market_cap, j.time_high, j.time_low,
                    -- Locks the asset before the first row, and spares the trigger that.
                    (select m.at from moment as m)
                from judged as j
                where j.verdict = 'loaded'
                order by j.ts
            ), refused as (
                insert into bars.price_rejects as r (load, file, line, raw, reason)
                select p_load, p_file, j.line, j.raw, j.reason
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
                count(*) filter (where j.verdict = 'other source' and j.is_new),
                bool_or(j.is_renamed),
                array_agg(j.ts) filter (where v_switches),
                array_agg(
                    row (
                        p_id, j.ts, j.open, j.high, j.low, j.close, j.volume, j.market_cap,
                        j.time_high, j.time_low, null, null, null
                    )::bars.price_revisions
                ) filter (where j.verdict = 'revised')
            into
                loaded, unchanged, revised, rejected, forming, other_source, other_differing, other_new,
                v_is_renamed, v_given, v_revised
            from judged as j;
            exit;
        exception when data_exception then
            -- Some text is no number or no date: looked at first, each one, it costs its line alone.
            if not v_trusts then
                raise;
            end if;
            v_trusts := false;
        end;
    end loop;

    if revised > 0 then
        update bars.cmc_price_histories7 as p
        set open = r.open,
            high = r.high,
            low = r.low,
            close = r.close,
            volume = r.volume,
            market_cap = r.market_cap,
            time_high = r.time_high,
            time_low = r.time_low
        from unnest(v_revised) as r
        where p.id = p_id
          and p.ts = r.ts;
    end if;
    if v_is_renamed and v_begun.is_own then
        perform bars._name_ticker(p_load, p_id, v_today, v_last);
    end if;
    v_written := loaded + revised;
    if v_switches and loaded + unchanged + revised > 0 then
        v_written := v_written + bars._switch_source(p_id, p_source, v_begun.is_same_unit, v_given);
    end if;
    perform bars.end_load(
        p_load,
        case when v_written > 0 then bars.price_moment(p_id) end,
        loaded, unchanged, revised, rejected, forming, other_source, other_differing, other_new
    );
    return next;
end
$$;

comment on function bars.load_staged_prices(
    uuid, text, integer, text, text[], timestamptz, text, text, boolean, boolean, text
) is
    'Upserts the candles of one staged load, keeps what it rejects, and says how many lines became what.';
