-- signals.today(p_asset_ids): open positions, and entries and exits of the last closed bar, one row each.
--
--     select t.symbol, t.signal_name, t.event, t.direction, t.pnl_pct from signals.today() as t;
--
-- Of all assets by default, and of the signals that are active: the rows of cmc_signals_today, which readers have as
-- published.cmc_signals_today, in the order of assets, signals and entries. ts is the last bar that the signal has
-- seen: of an asset whose data ended it stays behind. event: entry or exit on that bar, or open: a position from before.
-- pnl_pct is before costs; that of an open position is marked to the close of ts. exit_level, of atr_breakout
-- only: the lowest low (for a short the highest high) of the last channel_period bars; a next close beyond it
-- would exit.
--
-- requires: functions/features/assets_to_refresh.sql

create or replace function signals.today(p_asset_ids integer[] default null)
returns table (
    id integer,
    symbol text,
    signal_id integer,
    signal_name text,
    signal_type text,
    ts timestamptz,
    close double precision,
    event text,
    direction text,
    entry_ts timestamptz,
    entry_price double precision,
    exit_price double precision,
    pnl_pct double precision,
    exit_level double precision
)
language sql
stable parallel unsafe
as $$
select t.*
from unnest(features._known_assets(p_asset_ids)) as k (id)
join signals.cmc_signals_today as t using (id)
order by t.id, t.signal_id, t.entry_ts
$$;

comment on function signals.today(integer[]) is
    'Open positions of the active signals, and what they entered and exited on the last closed bar.';
