-- backtest.work_out(p_runs): read, simulate, measure and store planned runs, as their rows.
--
--     select w.run_id, w.status
--     from backtest.work_out(array(select r from backtest.planned_runs(...) as r)) as w;
--
-- What run_backtest and run_backtests do. All is read by one statement, whether the signals are up to date too: one
-- snapshot, so what is found up to date is what is read. Then each run is worked out and written, its own row last.
-- One that can't be is an error, which takes all of them along.
-- Equity is measured and digested as the bytes that its rows are made of; they are not read back.
--
-- requires: functions/backtest/read_inputs.sql, functions/backtest/stale_signals.sql
-- requires: functions/backtest/simulation_kernel.sql, functions/backtest/measure.sql
-- requires: functions/backtest/machinery.sql, functions/backtest/inputs_digest.sql
-- requires: functions/backtest/result_digest.sql, functions/backtest/delete_equity.sql
-- requires: functions/features/copy_in.sql, functions/db/counted.sql

create or replace function backtest.work_out(p_runs backtest.runs[])
returns setof backtest.runs
language plpgsql
volatile parallel unsafe
as $$
declare
    v_began     timestamptz := clock_timestamp();
    v_machinery record;
    v_run       backtest.runs;
    v_in        record;
    v_out       record;
    v_read      interval;
begin
    select m.machinery, m.digest
    into v_machinery
    from backtest.machinery() as m;

    for v_in in
        with stale as materialized (
            select s.signal_id, s.id, s.reason
            from backtest.stale_signals(
                array(select distinct r.signal_id from unnest(p_runs) as r where r.known_at is null),
                array(
                    select distinct a.id
                    from unnest(p_runs) as r
                    cross join unnest(r.asset_ids) as a (id)
                    where r.known_at is null
                )
            ) as s
        )

        select i.*, b.ids as stale_ids, b.reasons as stale_reasons
        from backtest.read_inputs(p_runs) as i
        cross join lateral (
            select array_agg(s.id order by s.id) as ids, array_agg(s.reason order by s.id) as reasons
            from stale as s
            where s.signal_id = p_runs[i.place].signal_id
              and s.id = any (p_runs[i.place].asset_ids)
        ) as b
        order by i.place
    loop
        -- What is read for all of them counts in equal parts.
        v_read := coalesce(v_read, (clock_timestamp() - v_began) / cardinality(p_runs));
        v_began := clock_timestamp();
        v_run := p_runs[v_in.place];
        if v_in.stale_ids is not null then
            raise exception 'signals of % are not up to date with the candles', v_run.signal_name
                using errcode = 'TA602',
                      detail = format(
                          'Of asset %s (%s in all): %s.',
                          v_in.stale_ids[1], db.counted(cardinality(v_in.stale_ids), 'asset'), v_in.stale_reasons[1]
                      ),
                      hint = 'call refresh_all(), or `ta-lab2 refresh`; then run it again.';
        end if;
        if v_in.bar_count = 0 then
            raise exception 'there is no candle in the range'
                using errcode = 'TA606',
                      detail = format(
                          'From %s to %s, of %s.',
                          coalesce(v_run.from_ts::text, 'the first candle'), coalesce(v_run.to_ts::text, 'the last'),
                          db.counted(cardinality(v_run.asset_ids), 'asset')
                      ),
                      hint = 'select id, min(ts), max(ts) from cmc_price_histories7 group by id says which there are.';
        end if;
        v_run.created_at := transaction_timestamp();
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
        from backtest.measure(
            v_run.run_id, v_run.capital, v_run.annualisation_days, v_out.skipped,
            v_out.sent[1], v_out.sent[4], v_out.sent[7], v_out.sent[8]
        ) as m;

        v_run.bars := v_out.bars;
        v_run.first_ts := v_in.first_ts;
        v_run.last_ts := v_out.last_ts;
        v_run.status := case when v_out.is_ruined then 'ruined' else 'complete' end;
        v_run.inputs_digest := backtest.inputs_digest(v_run);
        v_run.machinery := v_machinery.machinery;
        v_run.machinery_digest := v_machinery.digest;
        v_run.result_digest := sha256(
            backtest._trades_sent(v_run.run_id)
            || (select string_agg(s.sent, '' order by s.place) from unnest(v_out.sent) with ordinality as s (sent, place))
        );
        v_run.duration := v_read + (clock_timestamp() - v_began);
        insert into backtest.runs
        select v_run.*;
        return next v_run;
        v_began := clock_timestamp();
    end loop;
end
$$;

comment on function backtest.work_out(backtest.runs[]) is
    'Stores planned runs with trades, equity, metrics and digests; all of them or none. US dollars, fractions, basis points.';
