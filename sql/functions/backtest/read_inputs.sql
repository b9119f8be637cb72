-- backtest.read_inputs(p_runs): all data that runs read, one row each.
--
--     select i.* from backtest.read_inputs(p_runs) as i;
--
-- Of a run's row signal, assets, range and moment count; place is that in p_runs.
-- Candles and signals of the assets within the range, both ends included, packed by array_send in the order of asset and
-- time; the segments of all years up to its end, because a signal depends on what came before. Candles are read once for
-- all runs of the same assets and range.
-- With known_at both are as they were known then, else as they are stored; data_at is the moment as of which they
-- can be read again: known_at, else when the last of these candles was stored or replaced.
--
-- Reads as ta_lab2_research, which has no right on any table of prices or features: what is not published and not
-- an as-of read fails here. One statement's snapshot serves all of it, so a refresh that commits
-- meanwhile is seen as a whole or not at all.

-- Plans are kept for the session: one made when the tables were empty must serve full ones too.
create or replace function backtest._candles(p_asset_ids integer[], p_known_at timestamptz)
returns table (id integer, ts timestamptz, open double precision, close double precision)
language plpgsql
stable parallel unsafe
set enable_seqscan = off
as $$
begin
    if p_known_at is null then
        return query
        select p.id, p.ts, p.open, p.close
        from published.cmc_price_histories7 as p
        where p.id = any (p_asset_ids);
    else
        return query
        select p.id, p.ts, p.open, p.close
        from bars.prices_as_of(p_known_at, p_asset_ids) as p;
    end if;
end
$$;

comment on function backtest._candles(integer[], timestamptz) is
    'Private: candles of assets, as stored or as known at a moment.';

create or replace function backtest._events(p_signal_id integer, p_asset_ids integer[], p_known_at timestamptz)
returns table (
    id integer,
    ts timestamptz,
    position_state text,
    direction text,
    entry_ts timestamptz,
    feature_snapshot jsonb,
    feature_version_hash text
)
language plpgsql
stable parallel unsafe
set enable_seqscan = off
as $$
begin
    if p_known_at is null then
        return query
        select s.id, s.ts, s.position_state, s.direction, s.entry_ts, s.feature_snapshot, s.feature_version_hash
        from published.cmc_signals as s
        where s.id = any (p_asset_ids)
          and s.signal_id = p_signal_id;
    else
        return query
        select s.id, s.ts, s.position_state, s.direction, s.entry_ts, s.feature_snapshot, s.feature_version_hash
        from unnest(p_asset_ids) as a (id)
        cross join lateral signals.events(a.id, p_signal_id, p_known_at) as s;
    end if;
end
$$;

comment on function backtest._events(integer, integer[], timestamptz) is
    'Private: entries and exits of assets, as stored or as known at a moment.';

create or replace function backtest._segments(p_signal_id integer, p_asset_ids integer[], p_known_at timestamptz)
returns table (id integer, year integer, row_count integer, digest bytea)
language plpgsql
stable parallel unsafe
set enable_seqscan = off
as $$
begin
    if p_known_at is null then
        return query
        select s.id, s.year, s.row_count, s.digest
        from published.cmc_signal_segments as s
        where s.id = any (p_asset_ids)
          and s.signal_id = p_signal_id;
    else
        return query
        select s.id, s.year, s.row_count, s.digest
        from unnest(p_asset_ids) as a (id)
        cross join lateral signals.segments(a.id, p_signal_id, p_known_at) as s;
    end if;
end
$$;

comment on function backtest._segments(integer, integer[], timestamptz) is
    'Private: digests of the asset-years that a signal read, as stored or as known at a moment.';

grant execute on function backtest._candles(integer[], timestamptz),
    backtest._events(integer, integer[], timestamptz),
    backtest._segments(integer, integer[], timestamptz) to ta_lab2_research;

create or replace function backtest.read_inputs(p_runs backtest.runs[])
returns table (
    place integer,
    data_at timestamptz,
    bar_count integer,
    first_ts timestamptz,
    bar_ids bytea,
    bar_ts bytea,
    opens bytea,
    closes bytea,
    event_ids bytea,
    event_ts bytea,
    event_kinds bytea,
    event_entry_ts bytea,
    event_volatility bytea,
    entry_ids integer[],
    entry_ts timestamptz[],
    snapshots jsonb[],
    feature_hashes text[],
    segment_ids integer[],
    segment_years integer[],
    segment_rows integer[],
    segment_digests bytea[]
)
language plpgsql
stable parallel unsafe
as $$
begin
    return query
    with run as materialized (
        select
            r.ordinality::integer as place,
            r.signal_id,
            r.asset_ids,
            r.known_at,
            coalesce(r.from_ts, '-infinity') as from_ts,
            coalesce(r.to_ts, 'infinity') as to_ts
        from unnest(p_runs) with ordinality as r
    ),

    universe as materialized (
        select u.asset_ids, u.known_at, u.from_ts, u.to_ts, c.*
        from (select distinct r.asset_ids, r.known_at, r.from_ts, r.to_ts from run as r) as u
        cross join lateral (
            select
                coalesce(
                    u.known_at,
                    (select max(s.recorded_at) from published.price_state as s where s.id = any (u.asset_ids))
                ) as data_at,
                count(*)::integer as bar_count,
                min(p.ts) as first_ts,
                array_send(array_agg(p.id order by p.id, p.ts)) as bar_ids,
                array_send(array_agg(p.ts order by p.id, p.ts)) as bar_ts,
                array_send(array_agg(p.open order by p.id, p.ts)) as opens,
                array_send(array_agg(p.close order by p.id, p.ts)) as closes
            from backtest._candles(u.asset_ids, u.known_at) as p
            where p.ts between u.from_ts and u.to_ts
        ) as c
    )

    select
        r.place, u.data_at, u.bar_count, u.first_ts, u.bar_ids, u.bar_ts, u.opens, u.closes,
        e.ids, e.ts, e.kinds, e.entry_ts, e.volatility, e.entry_ids, e.entries, e.snapshots, e.feature_hashes,
        g.ids, g.years, g.row_counts, g.digests
    from run as r
    join universe as u
        on u.asset_ids = r.asset_ids
        and u.known_at is not distinct from r.known_at
        and u.from_ts = r.from_ts
        and u.to_ts = r.to_ts
    cross join lateral (
        -- An exit goes before an entry of the same bar.
        select
            array_send(array_agg(s.id order by s.id, s.ts, s.kind = 0 desc)) as ids,
            array_send(array_agg(s.ts order by s.id, s.ts, s.kind = 0 desc)) as ts,
            array_send(array_agg(s.kind order by s.id, s.ts, s.kind = 0 desc)) as kinds,
            array_send(array_agg(s.entry_ts order by s.id, s.ts, s.kind = 0 desc)) as entry_ts,
            array_send(array_agg(s.volatility order by s.id, s.ts, s.kind = 0 desc)) as volatility,
            coalesce(array_agg(s.id) filter (where s.kind <> 0), '{}') as entry_ids,
            coalesce(array_agg(s.ts) filter (where s.kind <> 0), '{}') as entries,
            coalesce(array_agg(s.feature_snapshot) filter (where s.kind <> 0), '{}') as snapshots,
            coalesce(array_agg(s.feature_version_hash) filter (where s.kind <> 0), '{}') as feature_hashes
        from (
            select
                v.id,
                v.ts,
                case when v.position_state = 'closed' then 0 when v.direction = 'long' then 1 else -1 end as kind,
                v.entry_ts,
                coalesce((v.feature_snapshot ->> 'parkinson_20')::double precision, 'NaN') as volatility,
                v.feature_snapshot,
                v.feature_version_hash
            from backtest._events(r.signal_id, r.asset_ids, r.known_at) as v
            where v.ts between r.from_ts and r.to_ts
        ) as s
    ) as e
    cross join lateral (
        select
            coalesce(array_agg(s.id order by s.id, s.year), '{}') as ids,
            coalesce(array_agg(s.year order by s.id, s.year), '{}') as years,
            coalesce(array_agg(s.row_count order by s.id, s.year), '{}') as row_counts,
            coalesce(array_agg(s.digest order by s.id, s.year), '{}') as digests
        from backtest._segments(r.signal_id, r.asset_ids, r.known_at) as s
        where r.to_ts = 'infinity'
           or s.year <= extract(year from r.to_ts at time zone 'UTC')
    ) as g;
end
$$;

comment on function backtest.read_inputs(backtest.runs[]) is
    'Candles, signals and segments of runs, packed, each from its assets and range; as stored, or as known at a moment.';

-- Not in the function's own text: PostgreSQL would check that text as research, before it may call it.
alter function backtest.read_inputs(backtest.runs[])
    set role = ta_lab2_research;
