"""observability: metrics, traces, alerts and workflow state, and what a refresh leaves for them

A per-asset step may write asset tables only, so it leaves a row in ``features.refresh_events``;
the closing step of the refresh turns these rows into traces, metrics and alerts, and takes
them away. ``features.refresh_asset`` says more than one number from here on.
"""

from alembic import op

revision = "20261122_observability_records"
down_revision = "20261122_timemodel_sessions"

HEX = "correlation_id ~ '^[0-9a-f]{32}$'"
NAME = "~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$'"
ENDED = "'done', 'partial', 'failed', 'abandoned'"

COMMENTS = {
    "observability.metrics": (
        "Numbers that runs measured, one row each.",
        {
            "metric_id": "The metric.",
            "correlation_id": "Everything that one cause led to has the same, 32 hex digits.",
            "metric_name": "What was measured, in dotted lower case, the unit included: refresh_features.run.seconds.",
            "value": "The number.",
            "tags": 'Of what it is: names and plain values, such as the asset {"id": 1}.',
            "recorded_at": "When it was measured.",
        },
    ),
    "observability.traces": (
        "What ran when, as trees: the root is a run, its children are its parts.",
        {
            "trace_id": "The trace; the root of a run has the run''s workflow_id.",
            "correlation_id": "Everything that one cause led to has the same, 32 hex digits.",
            "parent_id": "The trace that this is a part of, of the same correlation_id; null: a root.",
            "operation": "What ran, in dotted lower case.",
            "start_time": "When it began.",
            "end_time": "When it ended; null: it runs. Of an abandoned one, when it last showed life.",
            "status": "running, done, partial (a part of it failed), failed or abandoned (its session died).",
            "metadata": "What else is known: the asset, counts of rows, the error.",
        },
    ),
    "observability.alerts": (
        "What somebody should look at. A problem that goes on is one row.",
        {
            "alert_id": "The alert.",
            "correlation_id": "That of whatever raised it last, 32 hex digits.",
            "alert_type": "The kind, in dotted lower case: refresh_features.asset_failed.",
            "severity": "info, warning or critical.",
            "message": "What happened, as raised last.",
            "problem": "Names what goes on until it is resolved; null: an event, which is over at once.",
            "occurrences": "How often it was raised.",
            "metadata": "What else is known, as raised last.",
            "created_at": "When it was raised first.",
            "last_raised_at": "When it was raised last.",
            "resolved_at": "When the problem was over; null: it goes on, or it is an event.",
        },
    ),
    "observability.workflow_state": (
        "Where each run stands.",
        {
            "workflow_id": "The run.",
            "correlation_id": "Everything that one cause led to has the same, 32 hex digits.",
            "type": "The verb that runs, in dotted lower case: refresh_features.",
            "phase": "How far it is, in the verb''s own words.",
            "status": "running, done, partial (a part of it failed), failed or abandoned (its session died).",
            "created_at": "When it began.",
            "updated_at": "When this row last changed.",
            "metadata": "Its counts at the end, and by which backend it runs.",
        },
    ),
    "features.refresh_events": (
        "How each asset fared in the refreshes that have not been closed yet; emptied by that.",
        {
            "id": "The asset.",
            "run_id": "The run, its workflow_id in observability.workflow_state.",
            "started_at": "When the asset''s refresh began.",
            "ended_at": "When it ended.",
            "rows_read": "Candles read; null: it failed.",
            "rows_written": "Rows written or removed; null: it failed.",
            "rows_unchanged": "Rows that were as they should be already; null: it failed.",
            "error_code": "SQLSTATE of the failure; null: it succeeded.",
            "error_message": "Its message, cut at 2000 characters.",
        },
    ),
}

INDEXES = {
    "metrics": ["(metric_name, recorded_at)", "(correlation_id)"],
    "traces": ["(correlation_id, parent_id)", "(operation, start_time)"],
    "alerts": ["(created_at)", "(correlation_id)"],
    "workflow_state": ["(type, created_at)", "(correlation_id)"],
}

VIEWS = {
    "observability.metrics": "metric_id, correlation_id, metric_name, value, tags, recorded_at",
    "observability.traces": "trace_id, correlation_id, parent_id, operation, start_time, end_time, status, metadata",
    "observability.alerts": "alert_id, correlation_id, alert_type, severity, message, problem, occurrences,"
    " metadata, created_at, last_raised_at, resolved_at",
    "observability.workflow_state": "workflow_id, correlation_id, type, phase, status, created_at, updated_at, metadata",
    "features.refresh_events": "id, run_id, started_at, ended_at, rows_read, rows_written, rows_unchanged,"
    " error_code, error_message",
}


def drop_refresh_asset() -> None:
    """Let the routine lane make it anew: a function can't be replaced by one that returns more."""
    op.execute("drop function if exists features.refresh_asset(integer)")
    op.execute("drop function if exists features._refresh_returns(integer)")
    op.execute(
        "delete from ta_meta.routine_file as f where f.path = 'functions/features/refresh_asset.sql'"
    )


def upgrade() -> None:
    op.execute(f"""
        create table observability.metrics (
            metric_id      uuid not null default gen_random_uuid(),
            correlation_id text not null,
            metric_name    text not null,
            value          double precision not null,
            tags           jsonb not null default '{{}}',
            recorded_at    timestamptz not null default clock_timestamp(),
            primary key (metric_id, recorded_at),
            constraint correlation_id_is_hex check ({HEX}),
            constraint metric_name_is_dotted check (metric_name {NAME}),
            -- NaN is greater than every number, infinity included.
            constraint value_is_a_number check (value > '-infinity' and value < 'infinity'),
            constraint tags_are_an_object check (jsonb_typeof(tags) = 'object')
        )
    """)
    op.execute(f"""
        create table observability.traces (
            trace_id       uuid primary key default gen_random_uuid(),
            correlation_id text not null,
            parent_id      uuid,
            operation      text not null,
            start_time     timestamptz not null default clock_timestamp(),
            end_time       timestamptz,
            status         text not null default 'running',
            metadata       jsonb not null default '{{}}',
            unique (correlation_id, trace_id),
            -- A tree never crosses from one correlation to another, and goes as a whole.
            foreign key (correlation_id, parent_id)
                references observability.traces (correlation_id, trace_id) on delete cascade,
            constraint correlation_id_is_hex check ({HEX}),
            constraint operation_is_dotted check (operation {NAME}),
            constraint status_is_known check (status in ('running', {ENDED})),
            constraint what_runs_has_no_end check ((status = 'running') = (end_time is null)),
            constraint end_follows_start check (end_time >= start_time),
            constraint metadata_is_an_object check (jsonb_typeof(metadata) = 'object')
        )
    """)
    op.execute(f"""
        create table observability.alerts (
            alert_id       uuid primary key default gen_random_uuid(),
            correlation_id text not null,
            alert_type     text not null,
            severity       text not null,
            message        text not null,
            problem        text,
            occurrences    integer not null default 1,
            metadata       jsonb not null default '{{}}',
            created_at     timestamptz not null default clock_timestamp(),
            last_raised_at timestamptz not null default clock_timestamp(),
            resolved_at    timestamptz,
            constraint correlation_id_is_hex check ({HEX}),
            constraint alert_type_is_dotted check (alert_type {NAME}),
            constraint severity_is_known check (severity in ('info', 'warning', 'critical')),
            constraint message_says_something check (message <> ''),
            constraint problem_says_something check (problem <> ''),
            constraint occurrences_are_counted check (occurrences > 0),
            constraint only_problems_are_resolved check (resolved_at is null or problem is not null),
            constraint metadata_is_an_object check (jsonb_typeof(metadata) = 'object')
        )
    """)
    op.execute("""
        create unique index alerts_one_open_per_problem
        on observability.alerts (problem)
        where resolved_at is null
    """)
    op.execute(f"""
        create table observability.workflow_state (
            workflow_id    uuid primary key default gen_random_uuid(),
            correlation_id text not null,
            type           text not null,
            phase          text not null,
            status         text not null default 'running',
            created_at     timestamptz not null default clock_timestamp(),
            updated_at     timestamptz not null default clock_timestamp(),
            metadata       jsonb not null default '{{}}',
            constraint correlation_id_is_hex check ({HEX}),
            constraint type_is_dotted check (type {NAME}),
            constraint phase_is_dotted check (phase {NAME}),
            constraint status_is_known check (status in ('running', {ENDED})),
            constraint metadata_is_an_object check (jsonb_typeof(metadata) = 'object')
        )
    """)
    op.execute("""
        create index workflow_state_running
        on observability.workflow_state (type)
        where status = 'running'
    """)
    for table, indexes in INDEXES.items():
        for columns in indexes:
            name = "_".join([table, *columns.strip("()").split(", ")])
            op.execute(f"create index {name} on observability.{table} {columns}")
    op.execute("""
        create table features.refresh_events (
            id             integer not null references bars.dim_assets,
            run_id         uuid not null,
            started_at     timestamptz not null,
            ended_at       timestamptz not null,
            rows_read      bigint,
            rows_written   bigint,
            rows_unchanged bigint,
            error_code     text,
            error_message  text,
            primary key (id, run_id),
            constraint end_follows_start check (ended_at >= started_at),
            constraint it_failed_or_has_counts check (
                num_nulls(rows_read, rows_written, rows_unchanged)
                = case when error_code is null then 0 else 3 end
            ),
            constraint a_failure_has_a_message check ((error_code is null) = (error_message is null))
        )
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")

    tables = [f"observability.{name}" for name in ("metrics", "traces", "alerts", "workflow_state")]
    op.execute(f"grant insert on {', '.join(tables)} to ta_lab2_app, ta_lab2_research")
    # What happened stays as it was recorded: only how it ended can still be written.
    op.execute("grant update (end_time, status, metadata) on observability.traces to ta_lab2_app")
    op.execute("""
        grant update (phase, status, updated_at, metadata)
        on observability.workflow_state to ta_lab2_app
    """)
    op.execute("""
        grant update (correlation_id, severity, message, occurrences, metadata, last_raised_at, resolved_at)
        on observability.alerts to ta_lab2_app
    """)
    # For observability.prune.
    op.execute(f"grant delete on {', '.join(tables)} to ta_lab2_app")
    op.execute("grant insert, delete on features.refresh_events to ta_lab2_app")
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class, time_column, chunk_interval)
        values ('observability', 'metrics', 'single', 'recorded_at', '1 month'),
               ('observability', 'traces', 'single', null, null),
               ('observability', 'alerts', 'single', null, null),
               ('observability', 'workflow_state', 'single', null, null),
               ('features', 'refresh_events', 'asset', null, null)
    """)
    for table, columns in VIEWS.items():
        name = table.split(".")[1]
        listed = ", ".join(f"t.{column}" for column in columns.split(", "))
        op.execute(f"create view published.{name} as select {listed} from {table} as t")
        op.execute(f"comment on view published.{name} is '{table}, to be read.'")
    drop_refresh_asset()


def downgrade() -> None:
    for table in reversed(VIEWS):
        op.execute(f"drop view published.{table.split('.')[1]}")
        op.execute(f"drop table {table}")
    op.execute("""
        delete from ta_meta.table_class as c
        where c.schema_name = 'observability'
           or (c.schema_name = 'features' and c.table_name = 'refresh_events')
    """)
    drop_refresh_asset()
