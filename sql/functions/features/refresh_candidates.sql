-- features.refresh_candidates(p_asset_ids, p_rebuild, p_steps, p_verb): what a refresh would work on, one row per asset and computation.
--
--     select * from features.refresh_candidates();
--
-- Reads only. A candidate is a candle from the first that changed to the asset's last one: its
-- row is worked out anew, and written only if it differs.
--
-- requires: functions/features/assets_to_refresh.sql, functions/features/due.sql
-- requires: functions/features/fingerprints.sql, functions/features/of_steps.sql

create or replace function features.refresh_candidates(
    p_asset_ids integer[] default null,
    p_rebuild boolean default false,
    p_steps text[] default null,
    p_verb text default 'refresh_features'
)
returns table (id integer, feature_type text, from_ts timestamptz, candidates bigint)
language plpgsql
stable parallel unsafe
as $$
declare
    v_ids          integer[] := features._known_assets(p_asset_ids);
    v_fingerprints jsonb := features.of_steps(features.fingerprints(p_verb), p_steps);
begin
    return query
    select a.id, c.feature_type, f.from_ts, n.candidates
    from unnest(v_ids) as a (id)
    cross join jsonb_object_keys(v_fingerprints) as c (feature_type)
    left join features.due(v_ids, p_rebuild, v_fingerprints) as f
        on f.id = a.id
        and f.feature_type = c.feature_type
    cross join lateral (
        select count(*) as candidates
        from bars.cmc_price_histories7 as b
        where b.id = a.id
          and b.ts >= f.from_ts
    ) as n
    order by a.id, c.feature_type;
end
$$;

comment on function features.refresh_candidates(integer[], boolean, text[], text) is
    'Per asset and computation: where it would begin (null: nowhere) and how many candles that is.';
