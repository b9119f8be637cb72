"""features: rules for the indicators and the feature store"""

from alembic import op

revision = "20261122_features_finding_rules"
down_revision = "20261122_features_returns_sets"

RULES = [
    (
        "rsi_out_of_range",
        "findings_indicators",
        "critical",
        100,
        "An RSI is below 0 or over the threshold: the value, the worst of the row.",
    ),
    (
        "indicators_off_calendar",
        "findings_indicators",
        "critical",
        None,
        "cmc_ta_daily has a row that is no session (1), or a session between first and last candle has none (-1).",
    ),
    (
        "close_differs",
        "findings_store",
        "critical",
        0,
        "The close of a feature row differs from the candle by more than this, US dollars: the value.",
    ),
    (
        "mostly_null",
        "findings_store",
        "info",
        0.1,
        "After 400 rows, a larger share than this of a row is null though it has a candle: the value.",
    ),
    (
        "store_off_calendar",
        "findings_store",
        "critical",
        None,
        "cmc_daily_features has a row that is no session (1), or a session between first and last candle has none (-1).",
    ),
]
CONSUMERS = {
    "findings_indicators": ("Findings in the technical indicators.", "cmc_ta_daily"),
    "findings_store": ("Findings in the feature store.", "cmc_daily_features"),
}


def upgrade() -> None:
    for consumer, (what, table) in CONSUMERS.items():
        op.execute(f"""
            insert into bars.dim_consumers (consumer, description, reads)
            values ('{consumer}', '{what}', '{table}')
        """)
        # What stands is looked at by the next refresh.
        op.execute(f"""
            insert into bars.dirty_range (id, consumer, from_ts, to_ts)
            select s.id, '{consumer}', '-infinity', 'infinity'
            from features.feature_state as s
            where s.feature_name = '{table}'
        """)
    for rule, consumer, severity, threshold, what in RULES:
        number = "null" if threshold is None else repr(threshold)
        op.execute(f"""
            insert into features.dim_finding_rules (rule, description, consumer, severity, threshold)
            values ('{rule}', '{what}', '{consumer}', '{severity}', {number})
        """)


def downgrade() -> None:
    for rule, *_ in RULES:
        op.execute(
            f"drop function if exists features.finding_{rule}(integer[], timestamptz[], double precision)"
        )
        op.execute(
            f"delete from ta_meta.routine_file as f where f.path = 'functions/features/finding_{rule}.sql'"
        )
        op.execute(f"delete from features.findings as f where f.rule = '{rule}'")
        op.execute(f"delete from features.dim_finding_rules as r where r.rule = '{rule}'")
    for consumer in CONSUMERS:
        op.execute(f"delete from bars.dirty_range as d where d.consumer = '{consumer}'")
        op.execute(f"delete from bars.dim_consumers as c where c.consumer = '{consumer}'")
