"""backtest: runs are planned, then read and worked out as a set

Only routines change. The files make them anew: a run by itself is a set of one.
"""

from alembic import op

revision = "20261123_backtest_sets"
down_revision = "20261123_backtest_tables"

KERNEL = (
    "backtest.simulation_kernel(uuid, integer[], bytea, bytea, bytea, bytea, bytea, bytea, bytea,"
    " bytea, bytea, double precision, double precision, double precision, double precision, text,"
    " double precision, double precision, text, double precision)"
)

#: What changes, as it was and as it becomes.
ROUTINES = {
    "procedures/backtest/run_backtest.sql": (
        [
            "backtest._signal(text)",
            "backtest._cost_model(text)",
        ],
        [],
    ),
    "procedures/backtest/run_backtests.sql": (
        [],
        [
            "public.run_backtests(text[], integer[], boolean, timestamptz, timestamptz, text,"
            " double precision, text, double precision, text, double precision, timestamptz, text,"
            " double precision, uuid[])"
        ],
    ),
    "functions/backtest/planned_runs.sql": (
        [],
        [
            "backtest.planned_runs(text[], integer[], boolean, timestamptz, timestamptz, text,"
            " double precision, text, double precision, text, double precision, timestamptz, text,"
            " double precision)",
            "backtest._refuse_name(text, text, text, text[], text)",
        ],
    ),
    "functions/backtest/work_out.sql": ([], ["backtest.work_out(backtest.runs[])"]),
    "functions/backtest/read_inputs.sql": (
        ["backtest.read_inputs(integer, integer[], timestamptz, timestamptz, timestamptz)"],
        ["backtest.read_inputs(backtest.runs[])"],
    ),
    "functions/backtest/stale_signals.sql": (
        ["backtest.stale_signals(integer, integer[])"],
        ["backtest.stale_signals(integer[], integer[])"],
    ),
    "functions/backtest/simulation_kernel.sql": ([KERNEL], [KERNEL]),
    "functions/backtest/measure.sql": (
        ["backtest.measure(uuid, double precision, integer, integer)"],
        ["backtest.measure(uuid, double precision, integer, integer, bytea, bytea, bytea, bytea)"],
    ),
    "functions/backtest/result_digest.sql": (
        [],
        ["backtest._trades_sent(uuid)", "backtest._equity_sent(uuid)"],
    ),
}


def upgrade() -> None:
    for before, _ in ROUTINES.values():
        for routine in before:
            op.execute(f"drop function if exists {routine}")


def downgrade() -> None:
    for path, (_, after) in ROUTINES.items():
        for routine in after:
            op.execute(f"drop routine if exists {routine}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
