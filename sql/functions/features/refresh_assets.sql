-- features.refresh_assets(p_ids, p_rebuild, p_fingerprints, p_verb): bring a set of assets up to date, as a row for each and what it computed.
--
--     select c.id, c.feature_type, c.rows_written from features.refresh_assets('{1,1027}') as c;
--
-- Called by refresh_features, which holds the assets' rows of refresh_state. Each computation does
-- the same, for all of the set at once: take what is dirty, let its step read, work out and write
-- what differs, keep how far it came, and tell those who read its table from where on its rows may
-- be others. It is one transaction: where one asset fails, none of the set is done.
-- The computations are those that p_fingerprints has, all by default; some do not mend a failure.
-- A step is a function from arrays of ids and of the first ts that is due of each, to a row for each:
-- id; rows_read, rows_written, rows_unchanged; changed_from, before which no row was touched; last_ts
-- and state, for record_progress. Those of slices above this one are called by the name that
-- dim_computations has: for each asset, with its id and ts, and their row has no id.
--
-- requires: functions/features/fingerprints.sql, functions/features/due.sql, functions/features/take_dirty.sql
-- requires: functions/features/record_progress.sql, functions/bars/log_dirty_range.sql
-- requires: functions/features/refresh_bars.sql, functions/features/refresh_returns.sql
-- requires: functions/features/refresh_vol.sql, functions/features/refresh_indicators.sql
-- requires: functions/features/refresh_emas.sql
-- requires: functions/features/refresh_store.sql

create or replace function features._step_of(p_type text, p_ids integer[], p_froms timestamptz[])
returns table (
    id integer,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_step record;
begin
    case p_type
        when 'bars' then
            return query select d.* from features.refresh_bars(p_ids, p_froms) as d;
        when 'returns' then
            return query select d.* from features.refresh_returns(p_ids, p_froms) as d;
        when 'volatility' then
            return query select d.* from features.refresh_vol(p_ids, p_froms) as d;
        when 'indicators' then
            return query select d.* from features.refresh_indicators(p_ids, p_froms) as d;
        when 'ema' then
            return query select d.* from features.refresh_emas(p_ids, p_froms) as d;
        when 'store' then
            return query select d.* from features.refresh_store(p_ids, p_froms) as d;
        else
            select
                c.step::regproc as routine,
                p.proargtypes[0] = 'integer[]'::regtype as takes_sets
            into strict v_step
            from features.dim_computations as c
            join pg_catalog.pg_proc as p on p.oid = c.step::regproc
            where c.feature_type = p_type;
            return query execute format(
                case
                    when v_step.takes_sets then 'select d.* from %s($1, $2) as d'
                    else
                        'select a.id, d.* from unnest($1, $2) as a (id, from_ts)'
                        ' cross join lateral %s(a.id, a.from_ts) as d'
                end,
                v_step.routine
            )
            using p_ids, p_froms;
    end case;
end
$$;

comment on function features._step_of(text, integer[], timestamptz[]) is
    'Private: runs the step of a computation for a set; one of a slice above for each asset of it.';

create or replace function features._tell_of_rebuilds(
    p_verb text,
    p_type text,
    p_fingerprint text,
    p_ids integer[],
    p_froms timestamptz[]
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id integer;
begin
    for v_id in
        select s.id
        from unnest(p_ids, p_froms) as a (id, from_ts)
        join features.feature_state as s on s.id = a.id
        where a.from_ts = '-infinity'
          and s.feature_type = p_type
          and s.fingerprint <> p_fingerprint
        order by s.id
    loop
        raise notice '%: asset %: % rebuilt, their arithmetic or configuration changed', p_verb, v_id, p_type;
    end loop;
end
$$;

comment on function features._tell_of_rebuilds(text, text, text, integer[], timestamptz[]) is
    'Private: says which assets are worked out anew because of another fingerprint.';

create or replace function features.refresh_assets(
    p_ids integer[],
    p_rebuild boolean default false,
    p_fingerprints jsonb default null,
    p_verb text default 'refresh_features'
)
returns table (
    id integer,
    feature_type text,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint
)
language plpgsql
volatile parallel unsafe
-- Planning a read of the partitioned candles takes as long as the read of an increment.
set plan_cache_mode = force_generic_plan
as $$
declare
    v_began        timestamptz := clock_timestamp();
    v_fingerprints jsonb := coalesce(p_fingerprints, features.fingerprints(p_verb));
    v_due          record;
    v_step         record;
    v_ids          integer[];
    v_froms        timestamptz[];
    v_all          boolean := not exists (
        select from features.computations(p_verb) as c where not v_fingerprints ? c.feature_type
    );
    v_done         record;
begin
    select array_agg(d.id) as ids, array_agg(d.feature_type) as types, array_agg(d.from_ts) as froms
    into v_due
    from features.due(p_ids, p_rebuild, v_fingerprints) as d;
    for v_step in
        select c.feature_type, c.feature_name, v_fingerprints ->> c.feature_type as fingerprint
        from features.computations(p_verb) with ordinality as c (feature_type, feature_name, kernel, place)
        where v_fingerprints ? c.feature_type
        order by c.place
    loop
        select array_agg(w.id order by w.id), array_agg(w.from_ts order by w.id)
        into v_ids, v_froms
        from (
            select f.id, min(f.from_ts) as from_ts
            from (
                select t.id, t.from_ts
                from features.take_dirty(p_ids, v_step.feature_type) as t
                union all
                select d.id, d.from_ts
                from unnest(v_due.ids, v_due.types, v_due.froms) as d (id, feature_type, from_ts)
                where d.feature_type = v_step.feature_type
            ) as f
            group by f.id
        ) as w;
        continue when v_ids is null;
        if not p_rebuild and '-infinity' = any (v_froms) then
            perform features._tell_of_rebuilds(
                p_verb, v_step.feature_type, v_step.fingerprint, v_ids, v_froms
            );
        end if;

        select
            array_agg(d.id) as ids,
            array_agg(d.rows_read) as rows_read,
            array_agg(d.rows_written) as rows_written,
            array_agg(d.rows_unchanged) as rows_unchanged,
            array_agg(d.changed_from) as changed_from,
            array_agg(d.last_ts) as last_ts,
            array_agg(d.state) as states
        into v_done
        from features._step_of(v_step.feature_type, v_ids, v_froms) as d;
        perform features.record_progress(
            v_done.ids, v_step.feature_type, v_step.feature_name, v_step.fingerprint,
            v_done.last_ts, v_done.states
        );
        perform bars.log_dirty_range(d.id, d.changed_from, 'infinity', v_step.feature_name)
        from unnest(v_done.ids, v_done.changed_from, v_done.rows_written) as d (id, changed_from, rows_written)
        where d.rows_written > 0
          and exists (
              select
              from bars.dim_consumers as c
              where c.reads = v_step.feature_name
                 or v_step.feature_name = any (c.also_reads)
          );
        return query
        select d.id, v_step.feature_type, d.rows_read, d.rows_written, d.rows_unchanged
        from unnest(v_done.ids, v_done.rows_read, v_done.rows_written, v_done.rows_unchanged)
            as d (id, rows_read, rows_written, rows_unchanged);
    end loop;
    update features.refresh_state as s
    set refreshed_at = v_began,
        failed_at = case when not v_all then s.failed_at end,
        last_error = case when not v_all then s.last_error end
    where s.id = any (p_ids)
      and s.verb = p_verb;
end
$$;

comment on function features.refresh_assets(integer[], boolean, jsonb, text) is
    'Brings all that a verb computes of the assets up to date; candles read, rows written or removed, rows left alone, by computation.';
