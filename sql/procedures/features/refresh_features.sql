-- refresh_features(p_asset_ids, p_steps, p_indicators, p_rebuild, p_dry_run, p_verb): bring every asset's features up to date, a commit per batch.
--
--     call refresh_features();                        -- what pg_cron runs
--     call refresh_features(p_asset_ids => '{1,1027}');
--     call refresh_features(p_steps => '{returns}');  -- these steps, the others stay due
--     call refresh_features(p_indicators => '{RSI,macd_12_26_9}');  -- their columns, all else stays due
--     call refresh_features(p_dry_run => true);       -- says what is due, writes nothing; refresh_candidates() has it by asset
--     call refresh_features(p_rebuild => true);       -- works everything out anew
--
-- Front door: lives in public so an operator can type it unqualified.
-- Safe to stop at any moment, to run twice, and to run twice at once: work already
-- committed stays, and sessions share the assets. No SET clause, no SECURITY DEFINER,
-- no exception block round the COMMIT: each of them would forbid it.
-- A batch (features.refresh_batches) is one asset that is built whole, or up to fifty that only have
-- news and are worked out together. One that fails takes nothing of the others along: they are
-- then done one by one, each in a sub-transaction.
-- A step is a row of features.computations(). One that is left out keeps its rows and stays due.
-- Chosen indicators are kinds or columns (features.chosen_indicators). Their columns are brought up to date and
-- nothing is recorded of it, so the next refresh of all ends in the same bits (features.refresh_chosen).
-- A rebuild writes the rows that differ, like any refresh: none, unless somebody changed them.
-- Steps: once, add the columns of new indicators, close runs that died and begin this one; per asset,
-- which writes asset tables only; once, look for findings in what changed (features.refresh_findings);
-- once, turn what the assets left in refresh_events into traces, metrics and alerts.
-- p_verb is for the verbs of slices above this one, such as refresh_regimes: each has a list of
-- computations, locks and records of its own, and all of them run like this.
--
-- requires: functions/features/assets_to_refresh.sql, functions/features/record_failure.sql, functions/db/counted.sql
-- requires: functions/features/fingerprints.sql, functions/features/prepare_indicators.sql
-- requires: functions/features/refresh_batches.sql, functions/features/refresh_assets.sql
-- requires: functions/features/refresh_candidates.sql, functions/features/of_steps.sql
-- requires: functions/features/chosen_indicators.sql, functions/features/refresh_chosen.sql
-- requires: functions/features/record_refresh_event.sql, functions/features/refresh_findings.sql
-- requires: functions/features/close_refresh.sql, functions/observability/start_run.sql
-- requires: functions/observability/abandoned_runs.sql, functions/observability/correlation_id.sql

create or replace function features._announce_candidates(
    p_asset_ids integer[],
    p_steps text[],
    p_rebuild boolean,
    p_verb text
)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    -- Of more assets than these a line each would be more than anybody reads.
    c_singly constant integer := 3;
    v_due    record;
    v_count  bigint := 0;
begin
    for v_due in
        with due as (
            select c.id, c.feature_type, c.candidates, c.place
            from features.refresh_candidates(p_asset_ids, p_rebuild, p_steps, p_verb) with ordinality
                as c (id, feature_type, from_ts, candidates, place)
            where c.from_ts is not null
        ), line as (
            select
                case when n.assets <= c_singly then d.id end as id, d.feature_type, min(d.place) as place,
                count(*) as computations, sum(d.candidates)::bigint as candidates
            from due as d
            cross join (select count(distinct d.id) as assets from due as d) as n
            group by 1, 2
        )
        select
            concat('asset ' || l.id || ', ') || l.feature_type || ': '
                || case when l.id is null then db.counted(l.computations, 'asset') || ', ' else '' end
                || db.counted(l.candidates, 'candle') || case when l.candidates = 1 then ' is' else ' are' end as told,
            l.computations
        from line as l
        order by l.place
    loop
        raise notice '%: % due', p_verb, v_due.told;
        v_count := v_count + v_due.computations;
    end loop;
    raise notice '%: % due, nothing was written', p_verb,
        db.counted(v_count, 'computation') || case when v_count = 1 then ' is' else ' are' end;
end
$$;

comment on function features._announce_candidates(integer[], text[], boolean, text) is
    'Private: says how much a refresh would work on, by asset and computation; of more than three assets by computation alone.';

create or replace function features._refresh_and_record(
    p_run_id uuid,
    p_ids integer[],
    p_rebuild boolean,
    p_fingerprints jsonb,
    p_chosen integer[],
    p_verb text
)
returns bigint
language plpgsql
volatile parallel unsafe
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_done  record;
begin
    select
        array_agg(c.id) as ids,
        array_agg(c.rows_read) as rows_read,
        array_agg(c.rows_written) as rows_written,
        array_agg(c.rows_unchanged) as rows_unchanged,
        coalesce(sum(c.rows_written), 0)::bigint as written
    into v_done
    from (
        select
            a.id,
            coalesce(sum(c.rows_read), 0)::bigint as rows_read,
            coalesce(sum(c.rows_written), 0)::bigint as rows_written,
            coalesce(sum(c.rows_unchanged), 0)::bigint as rows_unchanged
        from unnest(p_ids) as a (id)
        left join (
            select r.id, r.rows_read, r.rows_written, r.rows_unchanged
            from features.refresh_assets(p_ids, p_rebuild, p_fingerprints, p_verb) as r
            where p_chosen is null
            union all
            select r.id, r.rows_read, r.rows_written, r.rows_unchanged
            from features.refresh_chosen(p_ids, p_rebuild, p_fingerprints, p_chosen) as r
            where p_chosen is not null
        ) as c on c.id = a.id
        group by a.id
    ) as c;
    perform features.record_refresh_event(
        p_run_id, v_done.ids, v_began, v_done.rows_read, v_done.rows_written, v_done.rows_unchanged
    );
    return v_done.written;
end
$$;

comment on function features._refresh_and_record(uuid, integer[], boolean, jsonb, integer[], text) is
    'Private: refreshes assets together, or chosen indicators of them, and keeps how they fared; the number of rows written.';

create or replace procedure public.refresh_features(
    p_asset_ids integer[] default null,
    p_steps text[] default null,
    p_indicators text[] default null,
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
    v_steps        text[] := p_steps;
    v_chosen       integer[];
    v_batch        integer[];
    v_mine         integer[];
    v_singly       integer[];
    v_id           integer;
    v_began        timestamptz;
    v_message      text;
    v_rows         bigint := 0;
    v_done         integer := 0;
    v_left         integer[] := array[]::integer[];
    v_failed       integer := 0;
    v_status       text;
    v_told         integer := 0;
    v_told_at      timestamptz := v_started;
    v_finding      record;
begin
    if p_indicators is not null then
        if p_steps is not null or p_verb <> 'refresh_features' then
            raise exception 'steps and indicators can''t be chosen together'
                using errcode = 'TA422',
                      detail = 'p_indicators is a part of the step indicators and no other.',
                      hint = 'Give one of them, or call refresh_features() twice.';
        end if;
        v_chosen := features.chosen_indicators(p_indicators);
        v_steps := '{indicators}';
    end if;
    if p_dry_run then
        perform features._announce_candidates(p_asset_ids, v_steps, p_rebuild, p_verb);
        return;
    end if;
    v_ids := features.assets_to_refresh(p_asset_ids, p_verb);
    if p_verb = 'refresh_features' then
        perform features.prepare_indicators();
    end if;
    v_fingerprints := features.of_steps(features.fingerprints(p_verb), v_steps);
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
        from features.refresh_batches(v_ids, p_rebuild, v_fingerprints, p_verb) as b (ids)
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
        v_left := v_left || array(
            select b.id from unnest(v_batch) as b (id) where b.id <> all (v_mine)
        );
        v_singly := v_mine;
        if cardinality(v_mine) > 1 then
            begin
                v_rows := v_rows + features._refresh_and_record(
                    v_run, v_mine, p_rebuild, v_fingerprints, v_chosen, p_verb
                );
                v_singly := '{}';
            exception when others then
                -- Which of them it was shows when each is done by itself.
                null;
            end;
        end if;
        foreach v_id in array v_singly
        loop
            v_began := clock_timestamp();
            begin
                v_rows := v_rows + features._refresh_and_record(
                    v_run, array[v_id], p_rebuild, v_fingerprints, v_chosen, p_verb
                );
            exception when others then
                -- PL/Python puts the name of its exception before the message; the code says it.
                v_message := regexp_replace(sqlerrm, '^(spiexceptions|plpy)\.\w+: ', '');
                v_failed := v_failed + 1;
                perform features.record_failure(v_id, sqlstate, v_message, p_verb);
                perform features.record_refresh_event(v_run, v_id, v_began, sqlstate, v_message);
                raise warning '%: asset % failed: %', p_verb, v_id, v_message;
            end;
        end loop;
        commit;
        v_done := v_done + cardinality(v_mine);
        if clock_timestamp() > v_told_at + interval '1 second' or v_done + cardinality(v_left) = cardinality(v_ids) then
            raise notice '%: % done, % of %, %, % s',
                p_verb, db.counted(v_done - v_told, 'more asset'), v_done + cardinality(v_left), cardinality(v_ids),
                db.counted(v_rows, 'row'),
                round(extract(epoch from clock_timestamp() - v_started), 1);
            v_told := v_done;
            v_told_at := clock_timestamp();
        end if;
    end loop;
    for v_finding in
        select f.rule, f.appeared, f.ended
        from features.refresh_findings(v_ids) as f
        where p_verb = 'refresh_features'
    loop
        raise notice 'refresh_features: findings of %: % new, % gone',
            v_finding.rule, v_finding.appeared, v_finding.ended;
    end loop;
    commit;
    v_status := features.close_refresh(
        v_run,
        p_metadata => jsonb_build_object(
            'left_to_others', cardinality(v_left),
            'left_not_failed', (
                select count(*)
                from features.refresh_state as s
                where s.id = any (v_left)
                  and s.verb = p_verb
                  and (s.failed_at is null or s.failed_at < v_started)
            )
        )
    );
    commit;

    if cardinality(v_left) > 0 then
        raise notice '%: % left to another session', p_verb, db.counted(cardinality(v_left), 'asset');
    end if;
    -- What another session has or had in hand says whether it is all of them: of sessions that share
    -- the work one may meet nothing but the asset that always fails.
    if v_status = 'failed' then
        raise exception '% failed for every asset', p_verb
            using errcode = 'TA401',
                  detail = format('%s tried, none succeeded.', db.counted(v_done, 'asset')),
                  hint = 'select id, verb, last_error from refresh_state where failed_at is not null says why.';
    end if;
    raise notice '%: %, %, % s, % failed',
        p_verb, db.counted(v_done, 'asset'), db.counted(v_rows, 'row'), round(extract(epoch from clock_timestamp() - v_started), 1), v_failed;
end
$$;

comment on procedure public.refresh_features(integer[], text[], text[], boolean, boolean, text) is
    'Refreshes features for the given assets, steps or indicators (all by default), committing after each batch; a dry run writes nothing.';
