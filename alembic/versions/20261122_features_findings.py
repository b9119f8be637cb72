"""features: what looks wrong in the features: rules with their thresholds, and what they found

A rule is a row here and a function, ``features.finding_<rule>``. The rules of a table are a consumer of its
changes, like a computation: what changed is looked at by the next refresh, whatever changed it.
"""

from alembic import op

revision = "20261122_features_findings"
down_revision = "20261122_bars_faster_loads"

RULES = [
    (
        "return_too_large",
        "findings_returns",
        "warning",
        0.5,
        "A one-session return, as a fraction, is over the threshold up or down: the value.",
    ),
    (
        "percent_against_log",
        "findings_returns",
        "critical",
        1e-12,
        "A percent return and the logarithm of the same span part by more than this fraction: the value.",
    ),
    (
        "sessions_absent",
        "findings_returns",
        "info",
        0,
        "More sessions than this have no candle before one that has: the value says how many.",
    ),
    (
        "returns_off_calendar",
        "findings_returns",
        "critical",
        None,
        "cmc_returns_daily has a row that is no session (1), or a session between first and last candle has none (-1).",
    ),
    (
        "volatility_too_large",
        "findings_volatility",
        "warning",
        5,
        "An annualised volatility, as a fraction, is over the threshold: the value, the largest of the row.",
    ),
    (
        "volatility_off_calendar",
        "findings_volatility",
        "critical",
        None,
        "cmc_vol_daily has a row that is no session (1), or a session between first and last candle has none (-1).",
    ),
]
CONSUMERS = {
    "findings_returns": ("Findings in the daily returns.", "cmc_returns_daily"),
    "findings_volatility": ("Findings in the daily volatilities.", "cmc_vol_daily"),
}
COMMENTS = {
    "dim_finding_rules": (
        "What is looked for in what a refresh computed: one row per rule, whose function is features.finding_<rule>.",
        {
            "rule": "Its name.",
            "description": "What it finds, and what the value of a finding is.",
            "consumer": "Whose dirty ranges say where to look: a row of dim_consumers, which names the table.",
            "severity": "info, warning, or critical, which raises an alert.",
            "threshold": "What the rule compares with; null: it needs none.",
            "is_active": "Whether it is looked for; switched off, its findings go.",
        },
    ),
    "findings": (
        "What the rules of dim_finding_rules find now: one that no longer holds is gone.",
        {
            "id": "The asset.",
            "rule": "The rule.",
            "ts": "The row that it was found in.",
            "value": "The value that the rule speaks of.",
            "severity": "The severity of the rule.",
            "found_at": "Since when it stands.",
        },
    ),
}
ROUTINES = {
    "functions/features/refresh_findings.sql": (
        "features.refresh_findings(integer[])",
        "features._look_for(text, double precision, text, integer[], timestamptz[])",
        "features._alert_of_findings(text[])",
    ),
    "functions/features/log_changed_rules.sql": ("features.log_changed_rules()",),
    "functions/features/off_calendar.sql": (
        "features.off_calendar(integer[], timestamptz[], regclass)",
    ),
    "functions/features/finding_percent_against_log.sql": (
        "features._apart(double precision, double precision)",
        "features.finding_percent_against_log(integer[], timestamptz[], double precision)",
    ),
    **{
        f"functions/features/finding_{rule}.sql": (
            f"features.finding_{rule}(integer[], timestamptz[], double precision)",
        )
        for rule, *_ in RULES
        if rule != "percent_against_log"
    },
}


def upgrade() -> None:
    op.execute("""
        create table features.dim_finding_rules (
            rule        text primary key check (rule ~ '^[a-z][a-z0-9_]{0,47}$'),
            description text not null check (description <> ''),
            consumer    text not null references bars.dim_consumers,
            severity    text not null check (severity in ('info', 'warning', 'critical')),
            threshold   double precision check (threshold >= 0 and threshold < 'Infinity'),
            is_active   boolean not null default true
        )
    """)
    op.execute("""
        create table features.findings (
            id       integer not null references bars.dim_assets,
            rule     text not null references features.dim_finding_rules,
            ts       timestamptz not null,
            value    double precision,
            severity text not null,
            found_at timestamptz not null default now(),
            primary key (id, rule, ts)
        )
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table features.{table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column features.{table}.{column} is '{meaning}'")
        names = ", ".join(f"t.{column}" for column in columns)
        op.execute(f"create view published.{table} as select {names} from features.{table} as t")
        op.execute(f"comment on view published.{table} is 'features.{table}, to be read.'")
    op.execute("grant insert, update on features.dim_finding_rules to ta_lab2_app")
    op.execute("grant insert, update, delete on features.findings to ta_lab2_app")
    op.execute("grant select on features.dim_finding_rules to ta_lab2_research")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('features', 'dim_finding_rules', 'dim'),
               ('features', 'findings', 'asset')
    """)
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
    for path, routines in ROUTINES.items():
        for routine in routines:
            op.execute(f"drop function if exists {routine} cascade")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("delete from bars.dirty_range as d where d.consumer like 'findings\\_%'")
    for table in ("findings", "dim_finding_rules"):
        op.execute(f"drop view published.{table}")
        op.execute(f"drop table features.{table}")
    op.execute("delete from bars.dim_consumers as c where c.consumer like 'findings\\_%'")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'features' and c.table_name in ('findings', 'dim_finding_rules')
    """)
