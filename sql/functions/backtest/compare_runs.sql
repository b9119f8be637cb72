-- backtest.compare_runs(p_a, p_b): in what two runs differ, from their digests down to the candle, as rows.
--
--     select c.level, c.ts, c.what, c.a, c.b, c.detail
--     from backtest.compare_runs('b0a1...', 'c3d2...') as c;
--
-- The levels, in this order: inputs, machinery and result always, each "equal" or "differs"; then only what
-- differs: setting, routine (of the machinery), data (the moments whose candles they read), segment (the
-- first asset-year that is not the same), and in that segment candle, feature, signal; then trade, equity
-- and metric of the whole runs. a and b are the values of the first and of the second run.
-- Candles, features and signals are read as they were known at the data_at of each run: the candles from
-- the log of revisions, the others worked out from them. Features are one row each, with the first
-- bar on which they differ; those that the signal reads come first, EMAs of its own periods among them.
-- Runs of different signals have segments of other columns: between them, data are not compared.
--
-- requires: functions/backtest/require_run.sql, functions/bars/prices_as_of.sql, functions/features/as_of.sql
-- requires: functions/features/ema_rows_as_of.sql, functions/signals/refresh_type.sql, functions/db/counted.sql

create or replace function backtest._told_signals(p_run backtest.runs, p_id integer)
returns table (ts timestamptz, position_state text, told text)
language plpgsql
stable parallel unsafe
as $$
begin
    return query
    select
        e.ts, e.position_state,
        case
            when e.position_state = 'open' then format('enter %s at %s', e.direction, e.entry_price)
            else format(
                'leave %s of %s at %s, pnl %s', e.direction, (e.entry_ts at time zone 'UTC')::date, e.exit_price, e.pnl_pct
            )
        end
    from signals.events(p_id, p_run.signal_id, p_run.data_at) as e;
end
$$;

comment on function backtest._told_signals(backtest.runs, integer) is
    'Private: the signals of an asset as they were known to a run, each in words.';

create or replace function backtest._segment_differences(p_a backtest.runs, p_b backtest.runs, p_id integer, p_year integer)
returns table (level text, id integer, ts timestamptz, what text, a text, b text, detail text)
language plpgsql
stable parallel unsafe
as $$
declare
    v_begin timestamptz := make_timestamptz(p_year, 1, 1, 0, 0, 0, 'UTC');
    v_end   timestamptz := make_timestamptz(p_year + 1, 1, 1, 0, 0, 0, 'UTC');
    v_read  text[];
begin
    -- Candles of earlier years count too: features look back.
    return query
    with pair as (
        select coalesce(x.ts, y.ts) as ts, x.id as id_a, y.id as id_b, to_jsonb(x) as a, to_jsonb(y) as b
        from bars.prices_as_of(p_a.data_at, array[p_id]) as x
        full join bars.prices_as_of(p_b.data_at, array[p_id]) as y using (id, ts)
        where coalesce(x.ts, y.ts) < v_end
          and (x.open, x.high, x.low, x.close, x.volume, x.market_cap)
              is distinct from (y.open, y.high, y.low, y.close, y.volume, y.market_cap)
    )
    select r.*
    from (
        select
            'candle'::text, p_id, p.ts, v.column_name, p.a ->> v.column_name, p.b ->> v.column_name,
            'replaced at ' || (
                select min(o.superseded_at)::text
                from bars.price_revisions as o
                where o.id = p_id
                  and o.ts = p.ts
                  and o.superseded_at > least(p_a.data_at, p_b.data_at)
            )
        from pair as p
        cross join unnest('{open,high,low,close,volume,market_cap}'::text[])
            with ordinality as v (column_name, place)
        where p.id_a is not null
          and p.id_b is not null
          and p.a -> v.column_name is distinct from p.b -> v.column_name
        order by p.ts, v.place
    ) as r
    union all
    select
        'candle', p_id, min(p.ts), case when p.id_a is null then 'only in b' else 'only in a' end,
        case when p.id_a is null then '0' else count(*)::text end,
        case when p.id_b is null then '0' else count(*)::text end,
        format('%s, %s to %s', db.counted(count(*), 'candle'),
            (min(p.ts) at time zone 'UTC')::date, (max(p.ts) at time zone 'UTC')::date)
    from pair as p
    where p.id_a is null or p.id_b is null
    group by p.id_a is null, p.id_b is null, p.id_a, p.id_b;

    v_read := signals._own(p_a.signal_type, p_a.params) || '{rsi_14,atr_14,parkinson_20}'::text[];
    return query
    with ema as (
        -- Also those that the store has no column of.
        select o.ts, o.of_a, jsonb_object_agg('ema_' || n.period, o.ema[n.slot]) as own
        from (
            select e.time_close as ts, m.of_a, e.ema
            from (values (true, p_a.data_at), (false, p_b.data_at)) as m (of_a, known_at)
            join timemodel.dim_timeframe as t on t.tf = '1D'
            cross join lateral features.ema_rows_as_of(p_id, array[t.tf_id], m.known_at) as e
            where p_a.signal_type = 'ema_crossover'
        ) as o
        join features.dim_ema_periods as n on 'ema_' || n.period = any (v_read)
        group by o.ts, o.of_a
    ), pair as materialized (
        -- Each row is made jsonb once, not for each of its columns anew.
        select
            x.ts,
            (to_jsonb(x) - 'extra') || coalesce(x.extra, '{}') || coalesce(ea.own, '{}') as a,
            (to_jsonb(y) - 'extra') || coalesce(y.extra, '{}') || coalesce(eb.own, '{}') as b
        from features.as_of(array[p_id], p_known_at => p_a.data_at) as x
        join features.as_of(array[p_id], p_known_at => p_b.data_at) as y using (id, ts)
        left join ema as ea on ea.ts = x.ts and ea.of_a
        left join ema as eb on eb.ts = x.ts and not eb.of_a
        where x.ts >= v_begin
          and x.ts < v_end
          and (x is distinct from y or ea.own is distinct from eb.own)
    ), value as (
        select
            p.ts, k.name, p.a ->> k.name as a, p.b ->> k.name as b,
            row_number() over (partition by k.name order by p.ts) as place,
            count(*) over (partition by k.name) as days
        from pair as p
        cross join lateral jsonb_object_keys(p.a) as k (name)
        where p.a -> k.name is distinct from p.b -> k.name
          and k.name not in ('open', 'high', 'low', 'close', 'volume', 'market_cap')
    )
    select
        'feature', p_id, f.ts, f.name, f.a, f.b,
        format('%s of the segment', db.counted(f.days, 'bar'))
        || case when f.name = any (v_read) then ', read by the signal' else '' end
    from value as f
    where f.place = 1
    order by f.name = any (v_read) is not true, f.name;

    return query
    select
        'signal', p_id, s.ts,
        case when s.a is null then 'only in b' when s.b is null then 'only in a' else 'differs' end,
        s.a, s.b, null::text
    from (
        select coalesce(x.ts, y.ts) as ts, coalesce(x.position_state, y.position_state) as state, x.told as a, y.told as b
        from backtest._told_signals(p_a, p_id) as x
        full join backtest._told_signals(p_b, p_id) as y
            on y.ts = x.ts and y.position_state = x.position_state
        where x.told is distinct from y.told
    ) as s
    where s.ts >= coalesce(greatest(p_a.from_ts, p_b.from_ts), '-infinity')
      and s.ts <= coalesce(least(p_a.to_ts, p_b.to_ts), 'infinity')
    order by s.ts, s.state;
end
$$;

comment on function backtest._segment_differences(backtest.runs, backtest.runs, integer, integer) is
    'Private: candles, features and signals of an asset-year that differ between the moments of two runs.';

create or replace function backtest._machinery_parts(p_machinery jsonb)
returns table (part text, name text, value text)
language sql
immutable parallel safe
as $$
select p.key, e.key, e.value
from jsonb_each(p_machinery) as p
cross join lateral jsonb_each_text(p.value) as e
$$;

comment on function backtest._machinery_parts(jsonb) is
    'Private: what a run''s machinery is made of, one part a row: routines, versions, arithmetic.';

create or replace function backtest._input_differences(p_a backtest.runs, p_b backtest.runs)
returns table (level text, id integer, ts timestamptz, what text, a text, b text, detail text)
language plpgsql
stable parallel unsafe
as $$
declare
    -- What a run is told apart by, or what came out: no setting.
    c_no_setting constant text[] := '{
        run_id,created_at,label,params,signal_id,params_digest,first_ts,last_ts,known_at,data_at,status,
        inputs_digest,machinery_digest,result_digest,machinery,bars,duration
    }'::text[];
    v_segment record;
begin
    return query
    select 'setting', null::integer, null::timestamptz, k.name, s.a ->> k.name, s.b ->> k.name, null::text
    from (
        select
            to_jsonb(p_a) - c_no_setting || p_a.params as a,
            to_jsonb(p_b) - c_no_setting || p_b.params as b
    ) as s
    cross join lateral jsonb_object_keys(s.a || s.b) as k (name)
    where s.a -> k.name is distinct from s.b -> k.name
    order by k.name;

    return query
    select
        'routine', null::integer, null::timestamptz, coalesce(x.name, y.name), x.value, y.value,
        coalesce(x.part, y.part)
    from backtest._machinery_parts(p_a.machinery) as x
    full join backtest._machinery_parts(p_b.machinery) as y on y.part = x.part and y.name = x.name
    where x.value is distinct from y.value
    order by coalesce(x.part, y.part) desc, coalesce(x.name, y.name);

    if p_a.data_at <> p_b.data_at then
        return query
        select
            'data', null::integer, null::timestamptz, 'as of', p_a.data_at::text, p_b.data_at::text,
            null::text;
    end if;

    if p_a.params_digest <> p_b.params_digest then
        return query
        select
            'segment', null::integer, null::timestamptz, 'not compared', null::text, null::text,
            'segments of different signals hold other columns';
        return;
    end if;
    select
        coalesce(x.id, y.id) as id, coalesce(x.year, y.year) as year,
        encode(x.digest, 'hex') as a, encode(y.digest, 'hex') as b,
        format(
            '%s, %s and %s; %s', coalesce(x.year, y.year),
            coalesce(x.row_count, 0), db.counted(coalesce(y.row_count, 0), 'row'),
            case when count(*) over () = 1 then '1 segment differs' else count(*) over () || ' segments differ' end
        ) as detail
    into v_segment
    from (select s.* from backtest.run_segments as s where s.run_id = p_a.run_id) as x
    full join (select s.* from backtest.run_segments as s where s.run_id = p_b.run_id) as y
        on y.id = x.id and y.year = x.year
    where x.digest is distinct from y.digest
    order by coalesce(x.year, y.year), coalesce(x.id, y.id)
    limit 1;
    if not found then
        return;
    end if;
    return query
    select
        'segment', v_segment.id, make_timestamptz(v_segment.year, 1, 1, 0, 0, 0, 'UTC'),
        case
            when v_segment.a is null then 'only in b'
            when v_segment.b is null then 'only in a'
            else 'first difference'
        end,
        v_segment.a, v_segment.b, v_segment.detail;
    if v_segment.id = any (p_a.asset_ids) and v_segment.id = any (p_b.asset_ids) then
        return query
        select s.* from backtest._segment_differences(p_a, p_b, v_segment.id, v_segment.year) as s;
    end if;
end
$$;

comment on function backtest._input_differences(backtest.runs, backtest.runs) is
    'Private: settings, routines, and the data of the first segment in which two runs differ.';

create or replace function backtest._told_trade(p_trade backtest.trades)
returns text
language sql
stable parallel safe
as $$
select
    case
        when p_trade.run_id is null then null
        else format(
            '%s %s at %s, %s, net %s', p_trade.direction, (p_trade.entry_ts at time zone 'UTC')::date, p_trade.entry_price,
            case
                when p_trade.exit_ts is null then 'open'
                else format('left %s at %s', (p_trade.exit_ts at time zone 'UTC')::date, p_trade.exit_price)
            end,
            p_trade.net_pnl
        )
    end
$$;

comment on function backtest._told_trade(backtest.trades) is
    'Private: a trade in words; null for none.';

create or replace function backtest._result_differences(p_a uuid, p_b uuid)
returns table (level text, id integer, ts timestamptz, what text, a text, b text, detail text)
language plpgsql
stable parallel safe
as $$
begin
    return query
    with pair as (
        select
            coalesce(x.id, y.id) as id, coalesce(x.entry_signal_ts, y.entry_signal_ts) as ts,
            x.trade_no as no_a, y.trade_no as no_b,
            backtest._told_trade(x) as a, backtest._told_trade(y) as b,
            (x.entry_ts, x.entry_price, x.exit_ts, x.exit_price)
                is not distinct from (y.entry_ts, y.entry_price, y.exit_ts, y.exit_price) as same_fills
        from (select t.* from backtest.trades as t where t.run_id = p_a) as x
        full join (select t.* from backtest.trades as t where t.run_id = p_b) as y
            on y.id = x.id and y.entry_signal_ts = x.entry_signal_ts and y.direction = x.direction
        where (x.entry_ts, x.entry_price, x.units, x.exit_ts, x.exit_price, x.net_pnl)
              is distinct from (y.entry_ts, y.entry_price, y.units, y.exit_ts, y.exit_price, y.net_pnl)
    ), told as (
        select
            p.*, count(*) over (partition by p.same_fills) as alike,
            row_number() over (partition by p.same_fills order by p.ts, p.id) as place
        from pair as p
    )
    select
        'trade', t.id, t.ts,
        case
            when t.no_a is null then 'only in b'
            when t.no_b is null then 'only in a'
            when t.same_fills then 'size'
            else 'fills'
        end,
        t.a, t.b,
        case when t.same_fills then format('the first of %s with the same fills and another size', t.alike) end
    from told as t
    where not t.same_fills or t.place = 1
    order by t.ts, t.id;

    return query
    with pair as (
        select
            coalesce(x.ts, y.ts) as ts, v.place, v.what, v.a, v.b,
            count(*) over (partition by v.what) as bars,
            row_number() over (partition by v.what order by coalesce(x.ts, y.ts)) as bar
        from (select e.* from backtest.equity as e where e.run_id = p_a) as x
        full join (select e.* from backtest.equity as e where e.run_id = p_b) as y on y.ts = x.ts
        cross join lateral (
            values (1, 'equity', x.equity, y.equity), (2, 'benchmark', x.benchmark, y.benchmark)
        ) as v (place, what, a, b)
        where v.a is distinct from v.b
    )
    select
        'equity', null::integer, p.ts, p.what, p.a::text, p.b::text, format('bars that differ: %s', p.bars)
    from pair as p
    where p.bar = 1
    order by p.place;

    return query
    select 'metric', null::integer, null::timestamptz, d.metric, x.value::text, y.value::text, null::text
    from backtest.dim_metrics as d
    left join backtest.metrics as x on x.run_id = p_a and x.metric = d.metric
    left join backtest.metrics as y on y.run_id = p_b and y.metric = d.metric
    where x.value is distinct from y.value
    order by d.place;
end
$$;

comment on function backtest._result_differences(uuid, uuid) is
    'Private: trades, equity and metrics in which two runs differ.';

create or replace function backtest.compare_runs(p_a uuid, p_b uuid)
returns table (level text, id integer, ts timestamptz, what text, a text, b text, detail text)
language plpgsql
stable parallel unsafe
set timezone = 'UTC'
as $$
declare
    v_a backtest.runs := backtest.require_run(p_a);
    v_b backtest.runs := backtest.require_run(p_b);
begin
    return query
    select
        d.level, null::integer, null::timestamptz, case when d.a = d.b then 'equal' else 'differs' end,
        encode(d.a, 'hex'), encode(d.b, 'hex'), d.detail
    from (
        values
            ('inputs', v_a.inputs_digest, v_b.inputs_digest, 'segments, parameters, costs, range, sizing'),
            ('machinery', v_a.machinery_digest, v_b.machinery_digest, 'routines, extensions, arithmetic'),
            ('result', v_a.result_digest, v_b.result_digest, 'trades, equity')
    ) as d (level, a, b, detail);

    return query
    select i.* from backtest._input_differences(v_a, v_b) as i;
    if v_a.result_digest <> v_b.result_digest then
        return query
        select r.* from backtest._result_differences(p_a, p_b) as r;
    end if;
end
$$;

comment on function backtest.compare_runs(uuid, uuid) is
    'What differs between two runs: digests, settings, the first segment with its candles, features and signals, then trades, equity, metrics.';
