-- backtest.read_inputs(p_signal_id, p_asset_ids, p_from, p_to, p_known_at): all data that a run reads, as one row.
--
--     select i.* from backtest.read_inputs(1, '{1,1027}', null, null, null) as i;
--
-- Candles and signals of the assets within the range, both ends included, packed by array_send in the order of asset and
-- time; the segments of all years up to its end, because a signal depends on what came before.
-- With p_known_at both are as they were known then, else as they are stored; data_at is the moment as of which they
-- can be read again: p_known_at, else when the last of these candles was stored or replaced.
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

create or replace function backtest.read_inputs(
    p_signal_id integer,
    p_asset_ids integer[],
    p_from timestamptz,
    p_to timestamptz,
    p_known_at timestamptz
)
returns table (
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
declare
    v_from timestamptz := coalesce(p_from, '-infinity');
    v_to   timestamptz := coalesce(p_to, 'infinity');
begin
    data_at := coalesce(
        p_known_at,
        (select max(c.recorded_at) from published.price_state as c where c.id = any (p_asset_ids))
    );
    select
        count(*), min(p.ts),
        array_send(array_agg(p.id order by p.id, p.ts)),
        array_send(array_agg(p.ts order by p.id, p.ts)),
        array_send(array_agg(p.open order by p.id, p.ts)),
        array_send(array_agg(p.close order by p.id, p.ts))
    into bar_count, first_ts, bar_ids, bar_ts, opens, closes
    from backtest._candles(p_asset_ids, p_known_at) as p
    where p.ts between v_from and v_to;

    -- An exit goes before an entry of the same bar.
    select
        array_send(array_agg(e.id order by e.id, e.ts, e.kind = 0 desc)),
        array_send(array_agg(e.ts order by e.id, e.ts, e.kind = 0 desc)),
        array_send(array_agg(e.kind order by e.id, e.ts, e.kind = 0 desc)),
        array_send(array_agg(e.entry_ts order by e.id, e.ts, e.kind = 0 desc)),
        array_send(array_agg(e.volatility order by e.id, e.ts, e.kind = 0 desc)),
        coalesce(array_agg(e.id) filter (where e.kind <> 0), '{}'),
        coalesce(array_agg(e.ts) filter (where e.kind <> 0), '{}'),
        coalesce(array_agg(e.feature_snapshot) filter (where e.kind <> 0), '{}'),
        coalesce(array_agg(e.feature_version_hash) filter (where e.kind <> 0), '{}')
    into
        event_ids, event_ts, event_kinds, event_entry_ts, event_volatility,
        entry_ids, entry_ts, snapshots, feature_hashes
    from (
        select
            s.id,
            s.ts,
            case when s.position_state = 'closed' then 0 when s.direction = 'long' then 1 else -1 end as kind,
            s.entry_ts,
            coalesce((s.feature_snapshot ->> 'parkinson_20')::double precision, 'NaN') as volatility,
            s.feature_snapshot,
            s.feature_version_hash
        from backtest._events(p_signal_id, p_asset_ids, p_known_at) as s
        where s.ts between v_from and v_to
    ) as e;

    select
        coalesce(array_agg(g.id order by g.id, g.year), '{}'),
        coalesce(array_agg(g.year order by g.id, g.year), '{}'),
        coalesce(array_agg(g.row_count order by g.id, g.year), '{}'),
        coalesce(array_agg(g.digest order by g.id, g.year), '{}')
    into segment_ids, segment_years, segment_rows, segment_digests
    from backtest._segments(p_signal_id, p_asset_ids, p_known_at) as g
    where v_to = 'infinity'
       or g.year <= extract(year from v_to at time zone 'UTC');
    return next;
end
$$;

comment on function backtest.read_inputs(integer, integer[], timestamptz, timestamptz, timestamptz) is
    'Candles, signals and segments of assets within a range, packed; as stored, or as known at a moment.';

-- Not in the function's own text: PostgreSQL would check that text as research, before it may call it.
alter function backtest.read_inputs(integer, integer[], timestamptz, timestamptz, timestamptz)
    set role = ta_lab2_research;
