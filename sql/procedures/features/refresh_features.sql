-- refresh_features(p_asset_ids, p_rebuild, p_dry_run, p_verb): bring every asset's features up to date, a commit per batch.
--
--     call refresh_features();                        -- what pg_cron runs
--     call refresh_features(p_asset_ids => '{1,1027}');
--     call refresh_features(p_dry_run => true);       -- says what is due, writes nothing
--     call refresh_features(p_rebuild => true);       -- works everything out anew
--
-- Front door: lives in public so an operator can type it unqualified.
-- Safe to stop at any moment, to run twice, and to run twice at once: work already
-- committed stays, and sessions share the assets. No SET clause, no SECURITY DEFINER,
-- no exception block round the COMMIT: each of them would forbid it.
-- A batch (features.refresh_batches) is one asset that is built whole, or up to fifty that only have
-- news. Each asset is a sub-transaction: one that fails takes nothing of the others along.
-- A rebuild writes the rows that differ, like any refresh: none, unless somebody changed them.
-- Steps: once, close runs that died and begin this one; per asset, which writes asset tables
-- only; once, turn what these left in refresh_events into traces, metrics and alerts.
-- p_verb is for the verbs of slices above this one, such as refresh_regimes: each has a list of
-- computations, locks and records of its own, and all of them run like this.
--
-- requires: functions/features/assets_to_refresh.sql, functions/features/record_failure.sql
-- requires: functions/features/fingerprints.sql, functions/features/refresh_batches.sql
-- requires: functions/features/due.sql, functions/features/record_idle.sql
-- requires: functions/features/refresh_asset.sql, functions/features/refresh_candidates.sql
-- requires: functions/features/record_refresh_event.sql
-- requires: functions/features/close_refresh.sql, functions/observability/start_run.sql
-- requires: functions/observability/abandoned_runs.sql, functions/observability/correlation_id.sql

create or replace function features._announce_candidates(p_asset_ids integer[], p_rebuild boolean, p_verb text)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_due   record;
    v_count integer := 0;
begin
    for v_due in
        select c.id, c.feature_type, c.from_ts, c.candidates
        from features.refresh_candidates(p_asset_ids, p_rebuild, p_verb) as c
        where c.from_ts is not null
    loop
        raise notice '%: asset %, %: % candles are due',
            p_verb, v_due.id, v_due.feature_type, v_due.candidates;
        v_count := v_count + 1;
    end loop;
    raise notice '%: % computations are due, nothing was written', p_verb, v_count;
end
$$;

comment on function features._announce_candidates(integer[], boolean, text) is
    'Private: says for each asset and computation how much a refresh would work on.';

create or replace procedure public.refresh_features(
    p_asset_ids integer[] default null,
    p_rebuild boolean default false,
    p_dry_run boolean default false,
    p_verb text default 'refresh_features'
)
language plpgsql
as $$
declare
    v_started      timestamptz := clock_timestamp();
    -- A caller may have set it for one transaction only.
    v_correlation  text := observability.correlation_id();
    v_run          uuid;
    v_ids          integer[];
    v_fingerprints jsonb;
    v_batch        integer[];
    v_mine         integer[];
    v_due          integer[];
    v_froms        jsonb;
    v_id           integer;
    v_began        timestamptz;
    v_read         bigint;
    v_written      bigint;
    v_unchanged    bigint;
    v_sqlstate     text;
    v_message      text;
    v_rows         bigint := 0;
    v_done         integer := 0;
    v_other        integer := 0;
    v_failed       integer := 0;
    v_told         integer := 0;
    v_told_at      timestamptz := v_started;
begin
    if p_dry_run then
        perform features._announce_candidates(p_asset_ids, p_rebuild, p_verb);
        return;
    end if;
    v_ids := features.assets_to_refresh(p_asset_ids, p_verb);
    v_fingerprints := features.fingerprints(p_verb);
    commit;
    begin
        perform features.close_refresh(r.run_id, p_abandoned => true)
        from observability.abandoned_runs(p_verb) as r (run_id);
    exception when others then
        -- The features matter more than the record of a run that died.
        raise warning '%: a run that died could not be closed: %', p_verb, sqlerrm;
    end;
    v_run := observability.start_run(p_verb, p_correlation_id => v_correlation);
    commit;

    for v_batch in
        select b.ids
        from features.refresh_batches(v_ids, p_rebuild, v_fingerprints) as b (ids)
    loop
        -- The asset's own row is the lock and ends with the commit: sessions share the work,
        -- none does it twice, and no reader can hold it (FOR UPDATE needs UPDATE). What another
        -- session began to read after this call began holds all that this call must see.
        select coalesce(array_agg(l.id order by l.id), '{}')
        into v_mine
        from (
            select s.id
            from features.refresh_state as s
            where s.id = any (v_batch)
              and s.verb = p_verb
              and (s.refreshed_at < v_started or s.refreshed_at is null)
            order by s.id
            for update skip locked
        ) as l;
        v_other := v_other + cardinality(v_batch) - cardinality(v_mine);
        v_began := clock_timestamp();
        select coalesce(array_agg(d.id order by d.id), '{}'), jsonb_object_agg(d.id, d.froms)
        into v_due, v_froms
        from (
            select d.id, jsonb_object_agg(d.feature_type, d.from_ts) as froms
            from features.due(v_mine, p_rebuild, v_fingerprints) as d
            group by d.id
        ) as d;
        if cardinality(v_due) < cardinality(v_mine) then
            perform features.record_idle(
                v_run, array(select unnest(v_mine) except select unnest(v_due)), v_began, p_verb
            );
        end if;
        foreach v_id in array v_due
        loop
            v_began := clock_timestamp();
            v_sqlstate := null;
            v_message := null;
            begin
                select c.rows_read, c.rows_written, c.rows_unchanged
                into v_read, v_written, v_unchanged
                from features.refresh_asset(
                    v_id, p_rebuild, v_fingerprints, v_froms -> v_id::text, p_verb
                ) as c;
                v_rows := v_rows + v_written;
            exception when others then
                v_sqlstate := sqlstate;
                -- PL/Python puts the name of its exception before the message; the code says it.
                v_message := regexp_replace(sqlerrm, '^(spiexceptions|plpy)\.\w+: ', '');
                v_read := null;
                v_written := null;
                v_unchanged := null;
                v_failed := v_failed + 1;
                perform features.record_failure(v_id, v_sqlstate, v_message, p_verb);
                raise warning '%: asset % failed: %', p_verb, v_id, v_message;
            end;
            perform features.record_refresh_event(
                v_run, v_id, v_began, v_read, v_written, v_unchanged, v_sqlstate, v_message
            );
        end loop;
        commit;
        v_done := v_done + cardinality(v_mine);
        if clock_timestamp() > v_told_at + interval '1 second' or v_done + v_other = cardinality(v_ids) then
            raise notice '%: % more assets done, % of %, % rows, % s',
                p_verb, v_done - v_told, v_done + v_other, cardinality(v_ids), v_rows,
                round(extract(epoch from clock_timestamp() - v_started), 1);
            v_told := v_done;
            v_told_at := clock_timestamp();
        end if;
    end loop;
    perform features.close_refresh(v_run, p_metadata => jsonb_build_object('left_to_others', v_other));
    commit;

    if v_other > 0 then
        raise notice '%: % assets left to another session', p_verb, v_other;
    end if;
    if v_failed > 0 and v_failed = v_done then
        raise exception '% failed for every asset', p_verb
            using errcode = 'TA401',
                  detail = format('%s assets tried, none succeeded.', v_done),
                  hint = 'select id, verb, last_error from refresh_state where failed_at is not null says why.';
    end if;
    raise notice '%: % assets, % rows, % s, % failed',
        p_verb, v_done, v_rows, round(extract(epoch from clock_timestamp() - v_started), 1), v_failed;
end
$$;

comment on procedure public.refresh_features(integer[], boolean, boolean, text) is
    'Refreshes features for the given assets (all by default), committing after each batch; a dry run writes nothing.';
