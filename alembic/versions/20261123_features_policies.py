"""features: policies, outlier rules and look-back of dim_features are arguments of the kernels

Only what would say something false is refused, by features.check_feature, which says why.
"""

from alembic import op

revision = "20261123_features_policies"
down_revision = "20261122_features_finding_rules"

#: The kernels as they were, and as they become.
KERNELS = {
    "functions/features/returns_kernel.sql": (
        "features.returns_kernel(integer[], integer[], bytea[], bytea[], bytea[], boolean[], bytea, bytea[])",
        "features.returns_kernel(integer[], integer[], bytea[], bytea[], bytea[], boolean[], bytea, bytea[],"
        " integer, double precision, double precision)",
    ),
    "functions/features/vol_kernel.sql": (
        "features.vol_kernel(integer, integer, bytea, bytea, bytea, bytea, bytea, bytea, boolean, bytea,"
        " double precision, bytea[])",
        "features.vol_kernel(integer, integer, bytea, bytea, bytea, bytea, bytea, bytea, boolean, bytea,"
        " double precision, bytea[], text, integer, double precision, double precision)",
    ),
}
CHECKED = "functions/features/check_feature.sql"
VIEW = """
    create or replace view published.dim_features as
    select feature_type, null_policy, outlier_sigmas, outlier_fence{more}
    from features.dim_features
"""
BOUNDS = {
    "sigmas_have_bounds": "outlier_sigmas between 0.1 and 100",
    "fence_has_bounds": "outlier_fence between 0.1 and 100",
    "look_back_has_bounds": "look_back between 20 and 2520",
    "scores_are_whole": """
        case when feature_type in ('returns', 'volatility')
            then num_nulls(look_back, outlier_sigmas, outlier_fence) = 0
        else true end
    """,
}


def upgrade() -> None:
    for before, _ in KERNELS.values():
        op.execute(f"drop function if exists {before}")
    op.execute("alter table features.dim_features drop constraint what_their_kernels_do")
    for name in ("outlier_sigmas", "outlier_fence"):
        op.execute(f"alter table features.dim_features drop constraint dim_features_{name}_check")
    op.execute("alter table features.dim_features add column look_back integer")
    op.execute("""
        comment on column features.dim_features.look_back is
            'z-scores and outlier flags look back on so many values that are not null; null: there are none.'
    """)
    op.execute("""
        comment on column features.dim_features.outlier_sigmas is
            'An outlier lies over so many sample deviations from the mean of the look_back values before it; null: no flags.'
    """)
    op.execute("""
        comment on column features.dim_features.outlier_fence is
            'An outlier lies over so many interquartile ranges outside the quartiles of the look_back values before it; null: no flags.'
    """)
    op.execute("""
        update features.dim_features as f
        set look_back = 252
        where f.feature_type in ('returns', 'volatility')
    """)
    for name, rule in BOUNDS.items():
        op.execute(f"alter table features.dim_features add constraint {name} check ({rule})")
    op.execute(VIEW.format(more=", look_back"))


def downgrade() -> None:
    for path, (_, after) in KERNELS.items():
        op.execute(f"drop function if exists {after}")
        op.execute(f"delete from ta_meta.routine_file as f where f.path = '{path}'")
    op.execute("drop trigger if exists check_feature on features.dim_features")
    op.execute("drop function if exists features.check_feature()")
    op.execute(f"delete from ta_meta.routine_file as f where f.path = '{CHECKED}'")
    op.execute("drop view published.dim_features")
    for name in BOUNDS:
        op.execute(f"alter table features.dim_features drop constraint {name}")
    op.execute("alter table features.dim_features drop column look_back")
    for name in ("outlier_sigmas", "outlier_fence"):
        op.execute(f"alter table features.dim_features add check ({name} > 0)")
    op.execute("""
        update features.dim_features as f
        set null_policy = case f.feature_type when 'returns' then 'skip' else 'forward_fill' end,
            outlier_sigmas = 4,
            outlier_fence = 1.5
        where f.feature_type in ('returns', 'volatility')
    """)
    op.execute("""
        alter table features.dim_features add constraint what_their_kernels_do check (
            case feature_type
                when 'returns' then null_policy = 'skip'
                    and outlier_sigmas is not distinct from 4
                    and outlier_fence is not distinct from 1.5
                when 'volatility' then null_policy = 'forward_fill'
                    and outlier_sigmas is not distinct from 4
                    and outlier_fence is not distinct from 1.5
                else outlier_sigmas is null and outlier_fence is null
            end
        )
    """)
    op.execute(VIEW.format(more=""))
    op.execute("comment on view published.dim_features is 'features.dim_features, to be read.'")
