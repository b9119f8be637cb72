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
-- requires: functions/bars/staged_lines.sql, functions/bars/candle_fault.sql
-- requires: functions/bars/prices_differ.sql, functions/bars/line_verdict.sql
-- requires: functions/bars/begin_load.sql, functions/bars/end_load.sql, functions/bars/is_name.sql

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
    -- No condition of the statement: TimescaleDB can't plan that for any argument, as the sixth call of a session asks.
    if p_same_unit then
        return;
    end if;
    -- A volume in another unit would be read as one of the new source's.
    update bars.intraday_candles as c
    set volume = null
    where c.id = p_id
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
    v_begun      record;
    v_has_volume boolean;
    v_switches   boolean;
    v_symbol     text;
    v_given      timestamptz[];
begin
    perform bars._register_asset(p_id, p_slug, p_session);
    select b.*
    into v_begun
    from bars.begin_load(p_load, p_file, p_id, p_source, p_sha256, p_switch, p_resolution) as b;
    v_has_volume := 'volume' = any (p_columns) and (v_begun.is_own or v_begun.is_same_unit);
    v_switches := v_begun.is_own and v_begun.source_before is distinct from p_source;
    -- A ticker names an asset that nobody has named yet; what daily files say goes before it.
    if exists (select from bars.dim_assets as a where a.id = p_id and a.symbol = a.slug) then
        select l.ticker
        into v_symbol
        from bars.staged_lines(p_load) as l
        where bars.is_name(l.ticker)
        order by l.line
        limit 1;
        update bars.dim_assets as a
        set symbol = v_symbol
        where a.id = p_id
          and a.symbol <> v_symbol;
    end if;

    with candles as materialized (
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
                when c.ts is null and c.day = '' then 'time missing'
                when c.ts is null then 'time unparsable'
                when c.ts > p_at then 'future time'
                when c.ts < '1900-01-01 00:00+00' then 'time before 1900'
                when date_bin(p_resolution, c.ts, '2000-01-01 00:00+00') <> c.ts
                    then 'time is no begin of a candle'
                -- CoinMarketCap's id of the US dollar.
                when c.quote <> '2781' then 'not in US dollars'
                else bars.candle_fault(
                    c.open, c.high, c.low, c.close, c.volume,
                    c.n_open, c.n_high, c.n_low, c.n_close, c.n_volume
                )
            end as reason
        from (
            select
                l.*,
                bars._stamp(l.day) as ts,
                bars._number(l.open) as n_open,
                bars._number(l.high) as n_high,
                bars._number(l.low) as n_low,
                bars._number(l.close) as n_close,
                bars._number(l.volume) as n_volume
            from bars.staged_lines(p_load) as l
            -- Each text is read as a number once, not once for every rule above.
            offset 0
        ) as c
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
            count(distinct row (c.open, c.high, c.low, c.close, c.volume)) > 1 as is_disputed
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
            n.reason,
            case when n.reason is not null then left(c.raw, 2000) end as raw,
            not v_begun.is_own and bars.prices_differ(
                c.open, c.high, c.low, c.close, p.open, p.high, p.low, p.close
            ) as is_differing,
            p.id is null as is_new,
            bars.line_verdict(
                n.reason,
                c.ts + p_resolution > p_at,
                v_begun.is_own,
                p_extend,
                p.id is not null,
                row (p.open, p.high, p.low, p.close, p.volume)
                    is not distinct from row (c.open, c.high, c.low, c.close, n.volume),
                c.line > r.first_line
            ) as verdict
        from candles as c
        left join repetitions as r on r.ts = c.ts and c.reason is null
        left join bars.intraday_candles as p
            on p.id = p_id and p.resolution = p_resolution and p.ts = c.ts
        cross join lateral (
            select
                case when v_has_volume then c.volume else p.volume end as volume,
                coalesce(
                    c.reason, case when r.is_disputed then 'duplicate with other values' end
                ) as reason
        ) as n
    ), written as (
        insert into bars.intraday_candles as p (
            id, resolution, ts, open, high, low, close, volume
        )
        select p_id, p_resolution, j.ts, j.open, j.high, j.low, j.close, j.volume
        from judged as j
        where j.verdict in ('loaded', 'revised')
        order by j.ts
        on conflict (id, resolution, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume
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
        array_agg(j.ts) filter (where v_switches)
    into
        loaded, unchanged, revised, rejected, forming, other_source, other_differing, other_new,
        v_given
    from judged as j;

    if v_switches and loaded + unchanged + revised > 0 then
        perform bars._switch_intraday_source(
            p_id, p_resolution, p_source, v_begun.is_same_unit, v_given
        );
    end if;
    perform bars.end_load(
        p_load,
        case when loaded + revised > 0 then now() end,
        loaded, unchanged, revised, rejected, forming, other_source, other_differing, other_new
    );
    return next;
end
$$;

comment on function bars.load_staged_intraday(
    uuid, text, integer, text, interval, text[], timestamptz, text, text, boolean, boolean, text
) is
    'Upserts the intraday candles of one staged load, keeps what it rejects, and says how many lines became what.';
