-- backtest.result_digest(p_run_id): SHA-256 of a run's trades and equity as they are stored, as 32 bytes.
--
--     select backtest.result_digest(r.run_id) = r.result_digest from backtest.runs as r;
--
-- Over the binary form of each column (array_send: lengths, IEEE bytes, -1 for null), trades in the order of their
-- number, equity in that of time. The snapshot of features is left out: its digest is feature_version_hash.
-- A run that is being written has the bytes of its equity still, and puts them in the place of those that are read.

create or replace function backtest._trades_sent(p_run_id uuid)
returns bytea
language plpgsql
stable parallel safe
-- Plans are kept for the session: one made when the table was empty must serve a full one too.
set enable_seqscan = off
as $$
begin
    return (
        select
            array_send(coalesce(array_agg(t.trade_no order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.id order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.direction order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.entry_signal_ts order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.entry_ts order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.entry_price order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.units order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.entry_fee order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.entry_slippage order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.exit_signal_ts order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.exit_ts order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.exit_price order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.exit_fee order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.exit_slippage order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.funding order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.loss_cut order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.gross_pnl order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.net_pnl order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.return_pct order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.bars_held order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.exit_reason order by t.trade_no), '{}'))
            || array_send(coalesce(array_agg(t.feature_version_hash order by t.trade_no), '{}'))
        from backtest.trades as t
        where t.run_id = p_run_id
    );
end
$$;

comment on function backtest._trades_sent(uuid) is
    'Private: the trades of a run in PostgreSQL''s binary form, column by column.';

create or replace function backtest._equity_sent(p_run_id uuid)
returns bytea
language plpgsql
stable parallel safe
set enable_seqscan = off
as $$
begin
    return (
        select
            array_send(coalesce(array_agg(e.ts order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.cash order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.positions order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.equity order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.daily_return order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.drawdown order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.exposure order by e.ts), '{}'))
            || array_send(coalesce(array_agg(e.benchmark order by e.ts), '{}'))
        from backtest.equity as e
        where e.run_id = p_run_id
    );
end
$$;

comment on function backtest._equity_sent(uuid) is
    'Private: the equity of a run in PostgreSQL''s binary form, column by column.';

create or replace function backtest.result_digest(p_run_id uuid)
returns bytea
language sql
stable parallel safe
as $$
select sha256(backtest._trades_sent(p_run_id) || backtest._equity_sent(p_run_id))
$$;

comment on function backtest.result_digest(uuid) is
    'SHA-256 over trades and equity of a run in PostgreSQL''s binary form, column by column.';
