"""features: a refresh of chosen indicators, and indicators that follow the unit of volumes

EMAs and regimes as they were known, too. Only routines change, which the files make; what is stored of volumes in money is looked at once more.
"""

from alembic import op

revision = "20261123_features_selection"
down_revision = "20261123_features_policies"

#: What changes, as it was and as it becomes.
ROUTINES = {
    "functions/features/chosen_indicators.sql": (
        [],
        ["function features.chosen_indicators(text[])"],
    ),
    "functions/features/refresh_chosen.sql": (
        [],
        [
            "function features.refresh_chosen(integer[], boolean, jsonb, integer[])",
            "function features._refresh_chosen_of(integer, timestamptz, integer[])",
        ],
    ),
    "functions/features/log_changed_source.sql": ([], ["function features.log_changed_source()"]),
    "functions/features/log_changed_unit.sql": ([], ["function features.log_changed_unit()"]),
    "functions/regimes/log_changed_volumes.sql": ([], ["function regimes.log_changed_volumes()"]),
    "functions/features/ema_as_of.sql": (
        [],
        [
            "function features.ema_as_of(integer[], text, timestamptz, timestamptz)",
            "function features._ladder_as_known(integer, integer[], timestamptz)",
        ],
    ),
    "functions/features/as_of.sql": (
        [],
        [
            "function features._assets_known(integer[], timestamptz)",
            "function features._counts_money(integer)",
        ],
    ),
    "functions/regimes/as_of.sql": (
        ["function regimes.as_of(integer[], timestamptz)"],
        [
            "function regimes.as_of(integer[], timestamptz, timestamptz)",
        ],
    ),
    "functions/bars/ladder.sql": (
        [
            "function bars.ladder(integer, integer[], timestamptz, timestamptz, bytea[], timestamptz)"
        ],
        [
            "function bars.ladder(integer, integer[], timestamptz, timestamptz, bytea[], timestamptz,"
            " timestamptz)"
        ],
    ),
    "procedures/features/refresh_features.sql": (
        [
            "procedure public.refresh_features(integer[], text[], boolean, boolean, text)",
            "function features._refresh_and_record(uuid, integer[], boolean, jsonb, text)",
        ],
        [
            "procedure public.refresh_features(integer[], text[], text[], boolean, boolean, text)",
            "function features._refresh_and_record(uuid, integer[], boolean, jsonb, integer[], text)",
        ],
    ),
}


def upgrade() -> None:
    for before, _ in ROUTINES.values():
        for routine in before:
            op.execute(f"drop {routine.replace(' ', ' if exists ', 1)}")
    # Nothing told the indicators of a source that counts otherwise.
    op.execute("""
        insert into bars.dirty_range (id, consumer, from_ts, to_ts)
        select t.id, 'indicators', '-infinity', 'infinity'
        from bars.price_state as t
        where t.source is not null
    """)


def downgrade() -> None:
    for table in ("price_state", "dim_sources"):
        op.execute(f"drop trigger if exists log_changed_money on bars.{table}")
    op.execute("drop trigger if exists log_changed_volumes on bars.dim_sources")
    for path, (_, after) in ROUTINES.items():
        for routine in after:
            op.execute(f"drop {routine.replace(' ', ' if exists ', 1)}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
