-- refresh_features(p_asset_ids, p_rebuild, p_dry_run): bring every asset's features up to date, a commit per asset.
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
-- A batch is one asset: its lock is free for the other session the sooner.
-- A rebuild writes the rows that differ, like any refresh: none, unless somebody changed them.
--
-- requires: functions/features/assets_to_refresh.sql, functions/features/record_failure.sql
-- requires: functions/features/refresh_asset.sql, functions/features/refresh_candidates.sql

create or replace function features._announce_candidates(p_asset_ids integer[], p_rebuild boolean)
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
        from features.refresh_candidates(p_asset_ids, p_rebuild) as c
        where c.from_ts is not null
    loop
        raise notice 'refresh_features: asset %, %: % candles are due',
            v_due.id, v_due.feature_type, v_due.candidates;
        v_count := v_count + 1;
    end loop;
    raise notice 'refresh_features: % computations are due, nothing was written', v_count;
end
$$;

comment on function features._announce_candidates(integer[], boolean) is
    'Private: says for each asset and computation how much a refresh would work on.';

create or replace procedure public.refresh_features(
    p_asset_ids integer[] default null,
    p_rebuild boolean default false,
    p_dry_run boolean default false
)
language plpgsql
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_ids     integer[];
    v_id      integer;
    v_rows    bigint := 0;
    v_done    integer := 0;
    v_other   integer := 0;
    v_failed  integer := 0;
begin
    if p_dry_run then
        perform features._announce_candidates(p_asset_ids, p_rebuild);
        return;
    end if;
    v_ids := features.assets_to_refresh(p_asset_ids);
    commit;
    foreach v_id in array v_ids
    loop
        -- The asset's own row is the lock and ends with the commit: sessions share the work,
        -- none does it twice, and no reader can hold it (FOR UPDATE needs UPDATE). What another
        -- session began to read after this call began holds all that this call must see.
        perform
        from features.refresh_state as s
        where s.id = v_id
          and (s.refreshed_at < v_started or s.refreshed_at is null)
        for update skip locked;
        if not found then
            v_other := v_other + 1;
            continue;
        end if;
        begin
            v_rows := v_rows + features.refresh_asset(v_id, p_rebuild);
        exception when others then
            v_failed := v_failed + 1;
            perform features.record_failure(v_id, sqlstate, sqlerrm);
            raise warning 'refresh_features: asset % failed: %', v_id, sqlerrm;
        end;
        commit;
        v_done := v_done + 1;
        raise notice 'refresh_features: asset % done, % of %, % rows, % s',
            v_id, v_done + v_other, cardinality(v_ids), v_rows,
            round(extract(epoch from clock_timestamp() - v_started), 1);
    end loop;
    commit;

    if v_other > 0 then
        raise notice 'refresh_features: % assets left to another session', v_other;
    end if;
    if v_failed > 0 and v_failed = v_done then
        raise exception 'refresh_features failed for every asset'
            using errcode = 'TA401',
                  detail = format('%s assets tried, none succeeded.', v_done),
                  hint = 'select id, last_error from refresh_state where failed_at is not null says why.';
    end if;
    raise notice 'refresh_features: % assets, % rows, % s, % failed',
        v_done, v_rows, round(extract(epoch from clock_timestamp() - v_started), 1), v_failed;
end
$$;

comment on procedure public.refresh_features(integer[], boolean, boolean) is
    'Refreshes features for the given assets (all by default), committing after each; a dry run writes nothing.';
