-- features.refresh_candidates(p_asset_ids, p_rebuild, p_steps, p_verb): what a refresh would work on, one row per asset and computation.
--
--     select * from features.refresh_candidates();
--
-- Reads only. A candidate is a candle from the first that changed to the asset's last one: its
-- row is worked out anew, and written only if it differs. Where a timeframe, an indicator or a signal
-- came or was switched on, the refresh works out its whole history, and from_ts is minus infinity.
--
-- requires: functions/features/assets_to_refresh.sql, functions/features/due.sql
-- requires: functions/features/fingerprints.sql, functions/features/of_steps.sql
-- requires: functions/features/indicator_state.sql

-- What came since tells of no ts: the step finds in its state what it has not worked out yet, and so does this.
create or replace function features._lacking(p_type text, p_ids integer[])
returns setof integer
language plpgsql
stable parallel unsafe
as $$
declare
    v_routine regproc;
begin
    if p_type = 'bars' then
        return query
        select s.id
        from features.feature_state as s
        where s.id = any (p_ids)
          and s.feature_type = p_type
          and exists (
              select
              from timemodel.dim_timeframe as t
              where t.is_active
                and not convert_from(s.state, 'UTF8')::jsonb -> 'timeframes' @> to_jsonb(t.tf_id)
          );
        return;
    elsif p_type = 'indicators' then
        return query
        select s.id
        from features.feature_state as s
        where s.id = any (p_ids)
          and s.feature_type = p_type
          and exists (
              select
              from features.dim_indicators as i
              where i.is_active
                and i.indicator_id <> all (features._indicators_of(s.state))
          );
        return;
    end if;
    select c.lacking::regproc
    into v_routine
    from features.dim_computations as c
    where c.feature_type = p_type;
    if v_routine is not null then
        return query execute format('select l.* from %s($1, $2) as l', v_routine)
        using p_type, p_ids;
    end if;
end
$$;

comment on function features._lacking(text, integer[]) is
    'Private: assets of which something that is configured has not been worked out yet, though the computation itself has.';

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
    select w.id, w.feature_type, w.from_ts, n.candidates
    from (
        select
            a.id,
            c.feature_type,
            case when l.id is not null and f.id is not null then '-infinity' else f.from_ts end as from_ts
        from unnest(v_ids) as a (id)
        cross join jsonb_object_keys(v_fingerprints) as c (feature_type)
        left join features.due(v_ids, p_rebuild, v_fingerprints) as f
            on f.id = a.id
            and f.feature_type = c.feature_type
        left join (
            select t.feature_type, m.id
            from jsonb_object_keys(v_fingerprints) as t (feature_type)
            cross join lateral features._lacking(t.feature_type, v_ids) as m (id)
        ) as l
            on l.id = a.id
            and l.feature_type = c.feature_type
    ) as w
    cross join lateral (
        select count(*) as candidates
        from bars.cmc_price_histories7 as b
        where b.id = w.id
          and b.ts >= w.from_ts
    ) as n
    order by w.id, w.feature_type;
end
$$;

comment on function features.refresh_candidates(integer[], boolean, text[], text) is
    'Per asset and computation: where it would begin (null: nowhere) and how many candles that is.';
