-- signals.today(p_asset_ids): open positions, and entries and exits of the last closed bar, one row each.
--
--     select t.symbol, t.signal_name, t.event, t.direction, t.pnl_pct from signals.today() as t;
--
-- Of all assets by default, and of the signals that are active. ts is the last bar that the signal has seen: of an asset whose
-- data ended it stays behind. event: entry or exit on that bar, or open: a position from before.
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
with standing as (
    select a.id, a.symbol, s.signal_id, d.signal_name, d.signal_type, d.params, s.last_ts, s.open_entries, f.close
    from unnest(features._known_assets(p_asset_ids)) as k (id)
    join bars.dim_assets as a using (id)
    join signals.cmc_signal_state as s using (id)
    join signals.dim_signals as d using (signal_id)
    join features.cmc_daily_features as f on f.id = s.id and f.ts = s.last_ts
    where d.is_active
)

select
    s.id, s.symbol, s.signal_id, s.signal_name, s.signal_type, s.last_ts, s.close,
    case when e.ts = s.last_ts then 'entry' else 'open' end,
    e.direction, e.entry_ts, e.entry_price, null,
    case e.direction when 'long' then s.close / e.entry_price - 1 else 1 - s.close / e.entry_price end,
    l.exit_level
from standing as s
join signals.cmc_signals as e
    on e.id = s.id
    and e.signal_id = s.signal_id
    and e.ts = any (s.open_entries)
    and e.position_state = 'open'
left join lateral (
    select case e.direction when 'long' then min(b.low) else max(b.high) end as exit_level
    from (
        select f.low, f.high
        from features.cmc_daily_features as f
        where f.id = s.id
          and not f.is_gap
        order by f.ts desc
        limit (s.params ->> 'channel_period')::numeric
    ) as b
) as l on s.signal_type = 'atr_breakout'
union all
select
    s.id, s.symbol, s.signal_id, s.signal_name, s.signal_type, s.last_ts, s.close,
    'exit', e.direction, e.entry_ts, e.entry_price, e.exit_price, e.pnl_pct, null
from standing as s
join signals.cmc_signals as e
    on e.id = s.id
    and e.signal_id = s.signal_id
    and e.ts = s.last_ts
    and e.position_state = 'closed'
order by 1, 3, 10
$$;

comment on function signals.today(integer[]) is
    'Open positions of the active signals, and what they entered and exited on the last closed bar.';
