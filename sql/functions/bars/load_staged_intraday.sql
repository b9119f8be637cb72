-- bars.load_staged_intraday(p_load, p_file, p_id, p_slug, p_resolution, p_columns, ...): turn staged lines into intraday candles, as counts.
--
--     select * from bars.load_staged_intraday(:load, '/data/1h.csv.gz', 1, 'bitcoin', '1 hour', '{volume}');
--
-- As bars.load_staged_prices does for daily candles: every staged line ends in exactly one of the counts but the
-- last two, which divide other_source. The line's day is the moment at which its candle begins; one
-- that has not ended at p_at is forming and left out. A moment given twice with other values loads
-- neither line. A volume that is not in p_columns leaves the stored one alone. Two loads at once follow each other.
-- An asset's candles of one resolution come from one source, the first loaded. Lines of another are compared with
-- them and counted; p_extend stores those of moments without a candle, p_switch makes it the source.
--
-- requires: functions/bars/load_staged_prices.sql

create or replace function bars._switch_intraday_source(
    p_id integer,
    p_resolution interval,
    p_source text,
    p_same_unit boolean,
    p_given timestamptz[]
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    update bars.intraday_state as t
    set source = p_source
    where t.id = p_id
      and t.resolution = p_resolution;
    -- A volume in another unit would be read as one of the new source's.
    update bars.intraday_candles as c
    set volume = null
    where not p_same_unit
      and c.id = p_id
      and c.resolution = p_resolution
      and c.volume is not null
      and c.ts not in (select g.ts from unnest(p_given) as g (ts) where g.ts is not null);
end
$$;

comment on function bars._switch_intraday_source(integer, interval, text, boolean, timestamptz[]) is
    'Private: makes a load''s source that of a series, and clears volumes of another unit.';

create or replace function bars.load_staged_intraday(
    p_load uuid,
    p_file text,
    p_id integer,
    p_slug text,
    p_resolution interval,
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
-- A whole file is joined to a whole series, however few rows the statistics expect:
-- between loads the staging table is empty.
set enable_nestloop = off
as $$
declare
    v_symbol     text;
    v_source     text;
    v_is_own     boolean;
    v_same_unit  boolean;
    v_has_volume boolean := 'volume' = any (p_columns);
    v_given      timestamptz[];
begin
    perform bars._register_asset(p_id, p_slug, p_session);
    perform bars._check_source(p_source);
    select t.source
    into v_source
    from bars.intraday_state as t
    where t.id = p_id
      and t.resolution = p_resolution;
    v_is_own := v_source is null or v_source = p_source or p_switch;
    v_same_unit := v_source is null or (
        select count(distinct d.volume_unit) = 1
        from bars.dim_sources as d
        where d.source in (v_source, p_source)
    );
    if not v_is_own and not v_same_unit then
        v_has_volume := false;
    end if;
    insert into bars.loads (load, file, sha256, source, id, resolution, source_before)
    values (p_load, p_file, p_sha256, p_source, p_id, p_resolution, v_source);
    -- A ticker names an asset that nobody has named yet; what daily files say goes before it.
    select s.ticker
    into v_symbol
    from bars.price_staging as s
    where s.load = p_load
      and s.ticker <> ''
    order by s.line
    limit 1;
    update bars.dim_assets as a
    set symbol = v_symbol
    where a.id = p_id
      and a.symbol = a.slug
      and a.symbol <> v_symbol;

    -- Materialized: each text is read as a number once, not once for every rule below.
    with cells as materialized (
        select
            s.*,
            bars._stamp(s.day) as ts,
            bars._number(s.open) as n_open,
            bars._number(s.high) as n_high,
            bars._number(s.low) as n_low,
            bars._number(s.close) as n_close,
            bars._number(s.volume) as n_volume
        from bars.price_staging as s
        where s.load = p_load
    ), candles as (
        select
            c.line,
            c.raw,
            c.ts,
            c.n_open as open,
            c.n_high as high,
            c.n_low as low,
            c.n_close as close,
            c.n_volume as volume,
            case
                when c.fault is not null then c.fault
                when c.day = '' then 'time missing'
                when c.ts is null then 'time unparsable'
                when c.ts > p_at then 'future time'
                when date_bin(p_resolution, c.ts, '2000-01-01 00:00+00') <> c.ts
                    then 'time is no begin of a candle'
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
            end as reason
        from cells as c
    ), disputed as (
        select c.ts
        from candles as c
        where c.reason is null
        group by c.ts
        having count(distinct row (c.open, c.high, c.low, c.close, c.volume)) > 1
    ), compared as (
        select
            c.line,
            c.raw,
            c.ts,
            c.open,
            c.high,
            c.low,
            c.close,
            case when v_has_volume then c.volume else p.volume end as volume,
            coalesce(c.reason, case when d.ts is not null then 'duplicate with other values' end) as reason,
            row_number() over (partition by c.ts, c.reason order by c.line) > 1 as is_repeated,
            p.id is not null as is_stored,
            -- Both are above 0.
            abs(c.open - p.open) >= 1e-7 * greatest(c.open, p.open)
            or abs(c.high - p.high) >= 1e-7 * greatest(c.high, p.high)
            or abs(c.low - p.low) >= 1e-7 * greatest(c.low, p.low)
            or abs(c.close - p.close) >= 1e-7 * greatest(c.close, p.close) as is_differing,
            row (p.open, p.high, p.low, p.close, p.volume) as stored
        from candles as c
        left join disputed as d on d.ts = c.ts
        left join bars.intraday_candles as p
            on p.id = p_id and p.resolution = p_resolution and p.ts = c.ts
    ), judged as (
        select
            c.*,
            case
                when c.reason is not null then 'rejected'
                when c.ts + p_resolution > p_at then 'forming'
                when not v_is_own and (c.is_stored or not p_extend) then 'other source'
                when c.is_repeated then 'unchanged'
                when not c.is_stored then 'loaded'
                when c.stored is distinct from row (c.open, c.high, c.low, c.close, c.volume)
                    then 'revised'
                else 'unchanged'
            end as verdict
        from compared as c
    ), written as (
        insert into bars.intraday_candles as p (
            id, resolution, ts, open, high, low, close, volume
        )
        select p_id, p_resolution, j.ts, j.open, j.high, j.low, j.close, j.volume
        from judged as j
        where j.verdict in ('loaded', 'revised')
        on conflict (id, resolution, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume
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

    if v_is_own and loaded + unchanged + revised > 0 and v_source is distinct from p_source then
        perform bars._switch_intraday_source(p_id, p_resolution, p_source, v_same_unit, v_given);
    end if;
    update bars.loads as l
    set finished_at = clock_timestamp(),
        recorded_at = case when (
            load_staged_intraday.loaded + load_staged_intraday.revised > 0
        ) then now() end,
        loaded = load_staged_intraday.loaded,
        unchanged = load_staged_intraday.unchanged,
        revised = load_staged_intraday.revised,
        rejected = load_staged_intraday.rejected,
        forming = load_staged_intraday.forming,
        other_source = load_staged_intraday.other_source,
        other_differing = load_staged_intraday.other_differing,
        other_new = load_staged_intraday.other_new
    where l.load = p_load;
    delete from bars.price_staging as s where s.load = p_load;
    return next;
end
$$;

comment on function bars.load_staged_intraday(
    uuid, text, integer, text, interval, text[], timestamptz, text, text, boolean, boolean, text
) is
    'Upserts the intraday candles of one staged load, keeps what it rejects, and says how many lines became what.';
