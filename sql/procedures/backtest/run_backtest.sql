-- run_backtest(p_signal, p_asset_ids, p_from, p_to, p_cost_model, p_capital, p_sizing, p_fraction, p_fill, p_capital_limit, p_known_at, p_label, p_vol_target, p_run_id): trade a signal's stored entries and exits, as a run with trades, equity and metrics.
--
--     call run_backtest('ema_21_50_long');
--     call run_backtest('rsi_30_70_mr', p_asset_ids => '{1,1027}', p_cost_model => 'perp', p_label => 'first');
--     call run_backtest('atr_20_donchian', p_sizing => 'volatility_target', p_to => '2024-12-31 23:59:59.999+00');
--     call run_backtest('ema_21_50_long', p_known_at => '2024-06-01 06:00+00');
--
-- Front door: lives in public so an operator can type it unqualified. All assets that have the signal share one
-- account by default. The range counts bars, both ends included: a signal outside of it doesn't count, and one on
-- its last bar is not filled. With p_known_at signals and candles are as they were known then, and nothing
-- need be stored of them; otherwise signals that the candles have outrun are refused.
--
-- A run is one transaction: killed anywhere it leaves nothing. The same data, parameters and machinery give the
-- same bits, and three digests in backtest.runs say which of them are the same. docs/backtest.md has the rules.
--
-- requires: functions/backtest/read_inputs.sql, functions/backtest/stale_signals.sql
-- requires: functions/backtest/simulation_kernel.sql, functions/backtest/measure.sql
-- requires: functions/backtest/machinery.sql, functions/backtest/inputs_digest.sql
-- requires: functions/backtest/result_digest.sql, functions/backtest/delete_equity.sql
-- requires: functions/features/copy_in.sql, functions/features/assets_to_refresh.sql

create or replace function backtest._signal(p_signal text)
returns signals.dim_signals
language plpgsql
stable parallel safe
as $$
declare
    v_signal signals.dim_signals;
begin
    select s.*
    into v_signal
    from signals.dim_signals as s
    where s.signal_name = p_signal;
    if not found then
        raise exception 'no signal is called %', coalesce(p_signal, 'null')
            using errcode = 'TA601',
                  detail = format(
                      'There are %s.',
                      (select string_agg(s.signal_name, ', ' order by s.signal_id) from signals.dim_signals as s)
                  ),
                  hint = 'select * from dim_signals lists them; a new one is an insert.';
    end if;
    return v_signal;
end
$$;

comment on function backtest._signal(text) is
    'Private: the signal of a name; an error that lists them when there is none.';

create or replace function backtest._cost_model(p_cost_model text)
returns backtest.cost_models
language plpgsql
stable parallel safe
as $$
declare
    v_costs backtest.cost_models;
begin
    select c.*
    into v_costs
    from backtest.cost_models as c
    where c.cost_model = p_cost_model;
    if not found then
        raise exception 'no cost model is called %', coalesce(p_cost_model, 'null')
            using errcode = 'TA603',
                  detail = format(
                      'There are %s.',
                      (select string_agg(c.cost_model, ', ' order by c.cost_model) from backtest.cost_models as c)
                  ),
                  hint = 'select * from cost_models lists them; a new one is an insert.';
    end if;
    return v_costs;
end
$$;

comment on function backtest._cost_model(text) is
    'Private: the cost model of a name; an error that lists them when there is none.';

create or replace function backtest._check_settings(p_run backtest.runs)
returns void
language plpgsql
stable parallel safe
as $$
declare
    -- Not "capital <= 0": of null and NaN nothing is true that is asked for here.
    v_wrong text := case
        when (p_run.capital > 0 and p_run.capital <= 1e15) is not true then
            format('p_capital is %L: it must be above 0, and at most 1e15.', p_run.capital)
        when (p_run.sizing in ('all_in', 'fixed_fraction', 'volatility_target')) is not true then
            format('p_sizing is %L: it is all_in, fixed_fraction or volatility_target.', p_run.sizing)
        when (p_run.fraction > 0 and p_run.fraction <= 1) is not true then
            format('p_fraction is %L: it must be above 0, and at most 1.', p_run.fraction)
        when p_run.sizing = 'all_in' and p_run.fraction <> 1 then
            format('p_fraction is %L and p_sizing all_in, which takes all of it: fixed_fraction takes a part.', p_run.fraction)
        when (p_run.fill in ('next_open', 'next_close')) is not true then
            format('p_fill is %L: it is next_open or next_close.', p_run.fill)
        when (p_run.capital_limit > 0 and p_run.capital_limit <= 1000) is not true then
            format('p_capital_limit is %L: it must be above 0, and at most 1000.', p_run.capital_limit)
        when (p_run.vol_target > 0 and p_run.vol_target <= 1000) is not true then
            format('p_vol_target is %L: it must be above 0, and at most 1000.', p_run.vol_target)
        when (p_run.from_ts <= p_run.to_ts) is false then
            format('p_from is %s and p_to %s: the range ends before it begins.', p_run.from_ts, p_run.to_ts)
    end;
begin
    if v_wrong is not null then
        raise exception 'a run can''t have these settings'
            using errcode = 'TA605',
                  detail = v_wrong,
                  hint = 'docs/backtest.md has all settings; those that are left out have a default.';
    end if;
    if exists (select from backtest.runs as r where r.run_id = p_run.run_id) then
        raise exception 'there is a run % already', p_run.run_id
            using errcode = 'TA611',
                  detail = 'A run is never written again.',
                  hint = 'Leave p_run_id out, and the run gets an id of its own.';
    end if;
end
$$;

comment on function backtest._check_settings(backtest.runs) is
    'Private: an error that says which setting a run can''t have, and what it may be.';

create or replace function backtest._universe(
    p_signal signals.dim_signals,
    p_asset_ids integer[],
    p_known_at timestamptz
)
returns integer[]
language plpgsql
stable parallel unsafe
as $$
declare
    v_ids integer[];
begin
    if p_asset_ids is not null then
        v_ids := features._known_assets(p_asset_ids);
    elsif p_known_at is not null then
        v_ids := array(
            select c.id
            from bars.price_state as c
            where c.first_recorded_at <= p_known_at
            order by c.id
        );
    else
        v_ids := array(
            select s.id
            from signals.cmc_signal_state as s
            where s.signal_id = p_signal.signal_id
            order by s.id
        );
    end if;
    if v_ids = '{}' then
        raise exception 'there is no asset to trade % with', p_signal.signal_name
            using errcode = 'TA604',
                  detail = case
                      when p_asset_ids is not null then 'p_asset_ids is empty.'
                      when p_known_at is not null then format('No prices were known at %s.', p_known_at)
                      else 'It was not worked out for any asset yet.'
                  end,
                  hint = 'Load prices with `ta-lab2 ingest`, then call refresh_all().';
    end if;
    return v_ids;
end
$$;

comment on function backtest._universe(signals.dim_signals, integer[], timestamptz) is
    'Private: the assets of a run in order: those named, else all that have the signal or were known.';

create or replace procedure public.run_backtest(
    p_signal text,
    p_asset_ids integer[] default null,
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_cost_model text default 'realistic',
    p_capital double precision default 10000,
    p_sizing text default 'all_in',
    p_fraction double precision default 1.0,
    p_fill text default 'next_open',
    p_capital_limit double precision default 1.0,
    p_known_at timestamptz default null,
    p_label text default null,
    p_vol_target double precision default 0.20,
    inout p_run_id uuid default null
)
language plpgsql
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_signal  signals.dim_signals := backtest._signal(p_signal);
    v_costs   backtest.cost_models := backtest._cost_model(p_cost_model);
    v_run     backtest.runs;
    v_in      record;
    v_out     record;
begin
    v_run.run_id := coalesce(p_run_id, gen_random_uuid());
    v_run.created_at := transaction_timestamp();
    v_run.label := p_label;
    v_run.signal_id := v_signal.signal_id;
    v_run.signal_name := v_signal.signal_name;
    v_run.signal_type := v_signal.signal_type;
    v_run.signal_version := v_signal.signal_version;
    v_run.params := v_signal.params;
    -- As the signals' own rows have it.
    v_run.params_digest := sha256(convert_to(v_signal.signal_type || ' ' || v_signal.params, 'UTF8'));
    v_run.from_ts := p_from;
    v_run.to_ts := p_to;
    v_run.known_at := p_known_at;
    v_run.cost_model := v_costs.cost_model;
    v_run.fee_bps := v_costs.fee_bps;
    v_run.slippage_bps := v_costs.slippage_bps;
    v_run.funding_bps := v_costs.funding_bps;
    v_run.capital := p_capital;
    v_run.sizing := p_sizing;
    v_run.fraction := p_fraction;
    v_run.vol_target := p_vol_target;
    v_run.fill := p_fill;
    v_run.capital_limit := p_capital_limit;
    perform backtest._check_settings(v_run);
    v_run.asset_ids := backtest._universe(v_signal, p_asset_ids, p_known_at);
    v_run.annualisation_days := (
        select max(d.annualisation_days)
        from bars.dim_assets as a
        join timemodel.dim_sessions as d on d.session_id = a.session_id
        where a.id = any (v_run.asset_ids)
    );

    -- One statement, one snapshot: what is found up to date is what is read.
    select i.*, s.ids as stale_ids, s.reason as stale_reason
    into v_in
    from backtest.read_inputs(v_signal.signal_id, v_run.asset_ids, p_from, p_to, p_known_at) as i
    cross join lateral (
        select array_agg(s.id order by s.id) as ids, min(s.reason) as reason
        from backtest.stale_signals(v_signal.signal_id, v_run.asset_ids) as s
        where p_known_at is null
    ) as s;
    if v_in.stale_ids is not null then
        raise exception 'signals of % are not up to date with the candles', v_signal.signal_name
            using errcode = 'TA602',
                  detail = format(
                      'Of asset %s (%s assets in all): %s.',
                      v_in.stale_ids[1], cardinality(v_in.stale_ids), v_in.stale_reason
                  ),
                  hint = 'call refresh_all(); then run it again.';
    end if;
    if v_in.bar_count = 0 then
        raise exception 'there is no candle in the range'
            using errcode = 'TA606',
                  detail = format(
                      'From %s to %s, of %s assets.',
                      coalesce(p_from::text, 'the first candle'), coalesce(p_to::text, 'the last'),
                      cardinality(v_run.asset_ids)
                  ),
                  hint = 'select id, min(ts), max(ts) from cmc_price_histories7 group by id says which there are.';
    end if;
    v_run.data_at := v_in.data_at;

    select k.*
    into v_out
    from backtest.simulation_kernel(
        v_run.run_id, v_run.asset_ids, v_in.bar_ids, v_in.bar_ts, v_in.opens, v_in.closes,
        v_in.event_ids, v_in.event_ts, v_in.event_kinds, v_in.event_entry_ts, v_in.event_volatility,
        v_run.capital, v_run.fee_bps, v_run.slippage_bps, v_run.funding_bps,
        v_run.sizing, v_run.fraction, v_run.vol_target, v_run.fill, v_run.capital_limit
    ) as k;

    perform features.copy_in('backtest.equity', v_out.packed);
    insert into backtest.trades (
        run_id, trade_no, id, direction, entry_signal_ts, entry_ts, entry_price, units, entry_fee, entry_slippage,
        exit_signal_ts, exit_ts, exit_price, exit_fee, exit_slippage, funding, loss_cut, gross_pnl, net_pnl,
        return_pct, bars_held, exit_reason, feature_snapshot, feature_version_hash
    )
    select
        v_run.run_id, t.trade_no, t.id, case when t.side > 0 then 'long' else 'short' end,
        t.entry_signal_ts, t.entry_ts, t.entry_price, t.units, t.entry_fee, t.entry_slippage,
        t.exit_signal_ts, t.exit_ts, t.exit_price, t.exit_fee, t.exit_slippage, t.funding, t.loss_cut,
        t.gross_pnl, t.net_pnl, t.net_pnl / (t.units * t.entry_price), t.bars_held, t.exit_reason,
        e.feature_snapshot, e.feature_version_hash
    from unnest(
        v_out.id, v_out.side, v_out.entry_signal_ts, v_out.entry_ts, v_out.entry_price, v_out.units,
        v_out.entry_fee, v_out.entry_slippage, v_out.exit_signal_ts, v_out.exit_ts, v_out.exit_price,
        v_out.exit_fee, v_out.exit_slippage, v_out.funding, v_out.loss_cut, v_out.gross_pnl, v_out.net_pnl,
        v_out.bars_held, v_out.exit_reason
    ) with ordinality as t (
        id, side, entry_signal_ts, entry_ts, entry_price, units,
        entry_fee, entry_slippage, exit_signal_ts, exit_ts, exit_price,
        exit_fee, exit_slippage, funding, loss_cut, gross_pnl, net_pnl,
        bars_held, exit_reason, trade_no
    )
    join unnest(v_in.entry_ids, v_in.entry_ts, v_in.snapshots, v_in.feature_hashes)
        as e (id, ts, feature_snapshot, feature_version_hash)
        on e.id = t.id
        and e.ts = t.entry_signal_ts;
    insert into backtest.run_segments (run_id, id, year, row_count, digest)
    select v_run.run_id, s.id, s.year, s.row_count, s.digest
    from unnest(v_in.segment_ids, v_in.segment_years, v_in.segment_rows, v_in.segment_digests)
        as s (id, year, row_count, digest);
    insert into backtest.metrics (run_id, metric, value)
    select v_run.run_id, m.metric, m.value
    from backtest.measure(v_run.run_id, v_run.capital, v_run.annualisation_days, v_out.skipped) as m;

    v_run.bars := v_out.bars;
    v_run.first_ts := v_in.first_ts;
    v_run.last_ts := v_out.last_ts;
    v_run.status := case when v_out.is_ruined then 'ruined' else 'complete' end;
    v_run.inputs_digest := backtest.inputs_digest(v_run);
    select m.machinery, m.digest
    into v_run.machinery, v_run.machinery_digest
    from backtest.machinery() as m;
    v_run.result_digest := backtest.result_digest(v_run.run_id);
    v_run.duration := clock_timestamp() - v_started;
    insert into backtest.runs
    select v_run.*;
    p_run_id := v_run.run_id;
    raise notice 'run_backtest: %, % assets, % bars, % trades, %, % s',
        v_run.signal_name, cardinality(v_run.asset_ids), v_run.bars, cardinality(v_out.id), v_run.status,
        round(extract(epoch from v_run.duration), 2);
end
$$;

comment on procedure public.run_backtest(
    text, integer[], timestamptz, timestamptz, text, double precision, text, double precision, text,
    double precision, timestamptz, text, double precision, uuid
) is
    'Backtests a signal over assets and a range; p_run_id comes back as the run''s id. US dollars, fractions, basis points.';
