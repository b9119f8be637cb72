"""signals: what they say today is a view, so that readers may look at it

``signals.today`` reads tables that a reader may not, and a function in a view is called with the rights of whoever reads
the view. So what it is stands in a view, published like every other; the function picks assets from it.
"""

from alembic import op

revision = "20261123_signals_today"
down_revision = "20261123_features_dry_runs"

VIEW = "cmc_signals_today"
COLUMNS = (
    *("id", "symbol", "signal_id", "signal_name", "signal_type", "ts", "close", "event"),
    *("direction", "entry_ts", "entry_price", "exit_price", "pnl_pct", "exit_level"),
)

#: What an older checkout doesn't know, or has otherwise.
ROUTINES = {
    "functions/signals/today.sql": "signals.today(integer[])",
    "functions/signals/check_signal.sql": "signals._reads(text, jsonb)",
    "functions/signals/refuse_input_loss.sql": "signals.refuse_input_loss()",
    "functions/regimes/refuse_period_loss.sql": "regimes.refuse_period_loss()",
}


def upgrade() -> None:
    op.execute("""
        create view signals.cmc_signals_today as
        with standing as (
            select a.id, a.symbol, s.signal_id, d.signal_name, d.signal_type, d.params, s.last_ts, s.open_entries, f.close
            from bars.dim_assets as a
            join signals.cmc_signal_state as s using (id)
            join signals.dim_signals as d using (signal_id)
            join features.cmc_daily_features as f on f.id = s.id and f.ts = s.last_ts
            where d.is_active
        )
        select
            s.id, s.symbol, s.signal_id, s.signal_name, s.signal_type, s.last_ts as ts, s.close,
            case when e.ts = s.last_ts then 'entry' else 'open' end as event,
            e.direction, e.entry_ts, e.entry_price, null::double precision as exit_price,
            case e.direction when 'long' then s.close / e.entry_price - 1 else 1 - s.close / e.entry_price end as pnl_pct,
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
    """)
    op.execute(
        f"comment on view signals.{VIEW} is"
        " 'Open positions of the active signals, and what they entered and exited on the last closed bar.'"
    )
    names = ", ".join(f"t.{name}" for name in COLUMNS)
    op.execute(f"create view published.{VIEW} as select {names} from signals.{VIEW} as t")
    op.execute(f"comment on view published.{VIEW} is 'signals.{VIEW}, to be read.'")


def downgrade() -> None:
    for path, routine in ROUTINES.items():
        op.execute(f"drop function if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute(f"drop view published.{VIEW}")
    op.execute(f"drop view signals.{VIEW}")
