-- refresh_intraday(p_rebuild): bring the bars of intraday candles up to date, where candles changed.
--
--     call refresh_intraday();                      -- what pg_cron runs
--     call refresh_intraday(p_rebuild => true);     -- makes every bar anew
--
-- Front door: lives in public so an operator can type it unqualified. Safe to stop at any moment
-- and to repeat. A second one beside it does nothing. No SET clause, no SECURITY DEFINER, no exception
-- block: each of them would forbid the commits.
-- Where the bars are continuous aggregates one refresh serves all assets, and the dirty ranges go last, because
-- it commits on its way; elsewhere an asset is a transaction, in which they go first.
--
-- requires: functions/bars/roll_up_intraday.sql, procedures/db/refresh_rollup.sql
-- requires: functions/db/can_roll_up.sql, functions/db/counted.sql
-- requires: functions/observability/start_run.sql, functions/observability/end_run.sql
-- requires: functions/observability/abandoned_runs.sql

create or replace procedure public.refresh_intraday(p_rebuild boolean default false)
language plpgsql
as $$
declare
    v_started       timestamptz := clock_timestamp();
    v_is_continuous boolean := to_regclass('bars.intraday_1h_continuous') is not null;
    v_run           uuid;
    v_ids           integer[];
    v_id            integer;
    v_ranges        uuid[];
    v_dirty         tstzmultirange;
    v_span          record;
    v_counted       record;
    v_spans         bigint := 0;
    v_rows          bigint := 0;
begin
    if v_is_continuous and not db.can_roll_up() then
        raise exception 'the bars of intraday candles were kept by another edition of TimescaleDB'
            using errcode = 'TA242',
                  detail = 'They are aggregates that only the community edition has.',
                  hint = 'Run `ta-lab2 db migrate`: the bars are made anew from their candles.';
    end if;
    perform observability.end_run(r.run_id, 'abandoned')
    from observability.abandoned_runs('refresh_intraday') as r (run_id);
    if exists (
        select
        from observability.workflow_state as w
        where w.type = 'refresh_intraday'
          and w.status = 'running'
    ) then
        commit;
        raise notice 'refresh_intraday: another session is at it, nothing was done';
        return;
    end if;
    select
        coalesce(array_agg(distinct d.id order by d.id), '{}'),
        coalesce(array_agg(d.range_id), '{}'),
        range_agg(tstzrange(d.from_ts, d.to_ts, '[]'))
    into v_ids, v_ranges, v_dirty
    from bars.dirty_range as d
    where d.consumer = 'intraday';
    if p_rebuild then
        v_dirty := tstzmultirange(tstzrange('-infinity', 'infinity'));
        select coalesce(array_agg(distinct s.id order by s.id), '{}')
        into v_ids
        from bars.intraday_state as s;
    end if;
    if v_ids = '{}' then
        commit;
        raise notice 'refresh_intraday: nothing is due';
        return;
    end if;
    v_run := observability.start_run('refresh_intraday');
    commit;

    if not v_is_continuous then
        foreach v_id in array v_ids
        loop
            select u.spans, u.rows_written
            into v_counted
            from bars.roll_up_intraday(v_id, p_rebuild) as u;
            commit;
            v_spans := v_spans + v_counted.spans;
            v_rows := v_rows + v_counted.rows_written;
        end loop;
    else
        for v_span in
            select b.rollup, lower(w.span) as from_ts, upper(w.span) as to_ts
            from (
                values
                    ('bars.intraday_1h_continuous', interval '1 hour'),
                    ('bars.intraday_1d_continuous', interval '24 hours')
            ) as b (rollup, bucket)
            cross join lateral (
                select unnest(range_agg(tstzrange(
                    date_bin(b.bucket, lower(d.span), '2000-01-01 00:00+00'),
                    date_bin(b.bucket, upper(d.span), '2000-01-01 00:00+00') + b.bucket
                )))
                from unnest(v_dirty) as d (span)
            ) as w (span)
        loop
            call db.refresh_rollup(v_span.rollup::regclass, v_span.from_ts, v_span.to_ts, p_rebuild);
            v_spans := v_spans + 1;
        end loop;
        -- Whatever was logged since these were read is for the next run.
        delete from bars.dirty_range as d
        where d.consumer = 'intraday'
          and d.range_id = any (v_ranges);
        v_rows := null;
    end if;
    perform observability.end_run(v_run, 'done', jsonb_strip_nulls(jsonb_build_object(
        'assets', cardinality(v_ids), 'spans', v_spans, 'rows_written', v_rows
    )));
    commit;
    raise notice 'refresh_intraday: %, %, % s',
        db.counted(cardinality(v_ids), 'asset'),
        db.counted(v_spans, 'span') || coalesce(', ' || db.counted(v_rows, 'row'), ''),
        round(extract(epoch from clock_timestamp() - v_started), 1);
end
$$;

comment on procedure public.refresh_intraday(boolean) is
    'Rolls intraday candles up to bars of an hour and a day where candles changed, committing on the way.';
