-- features.close_refresh(p_run_id, p_abandoned, p_metadata): turn a run's events into its record, as its status.
--
--     select features.close_refresh(v_run);
--
-- The "once" step after the assets, in one transaction. An asset that changed or failed leaves
-- a trace under the run's and its metrics; one where nothing was to do is only counted in the
-- run's. Those that were worked out together have the times of all of them, and seconds an even
-- share. An asset that fails leaves one alert per SQLSTATE, which repeats count up and its next
-- success resolves. A run has failed when all of its assets did and none that it left to other
-- sessions stands better, as p_metadata says in left_not_failed. The end of an abandoned run is that of the last asset that it committed.
--
-- requires: functions/observability/record_metric.sql
-- requires: functions/observability/record_alert.sql, functions/observability/resolve_alert.sql
-- requires: functions/observability/end_run.sql

create or replace function features._events_of(p_run_id uuid)
returns table (
    id integer,
    started_at timestamptz,
    ended_at timestamptz,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    error_code text,
    error_message text,
    together bigint
)
language sql
stable parallel unsafe
as $$
select
    e.id, e.started_at, e.ended_at, e.rows_read, e.rows_written, e.rows_unchanged,
    e.error_code, e.error_message,
    count(*) over (partition by e.started_at, e.ended_at)
from features.refresh_events as e
where e.run_id = p_run_id
  and (e.rows_written > 0 or e.error_code is not null)
$$;

comment on function features._events_of(uuid) is
    'Private: assets of a run that changed or failed, each with how many were worked out together.';

create or replace function features._record_assets(p_run_id uuid, p_correlation_id text, p_verb text)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into observability.traces as t (
        correlation_id, parent_id, operation, start_time, end_time, status, metadata
    )
    select
        p_correlation_id,
        p_run_id,
        p_verb || '.asset',
        e.started_at,
        e.ended_at,
        case when e.error_code is null then 'done' else 'failed' end,
        jsonb_strip_nulls(jsonb_build_object(
            'id', e.id,
            'together', nullif(e.together, 1),
            'rows_read', e.rows_read,
            'rows_written', e.rows_written,
            'rows_unchanged', e.rows_unchanged,
            'sqlstate', e.error_code,
            'message', e.error_message
        ))
    from features._events_of(p_run_id) as e;

    insert into observability.metrics as o (correlation_id, metric_name, value, tags, recorded_at)
    select
        p_correlation_id,
        p_verb || '.asset.' || m.name,
        m.value,
        jsonb_build_object('id', e.id),
        e.ended_at
    from features._events_of(p_run_id) as e
    cross join lateral (
        values
            ('seconds', extract(epoch from e.ended_at - e.started_at)::double precision / e.together),
            ('rows_read', e.rows_read),
            ('rows_written', e.rows_written),
            ('rows_unchanged', e.rows_unchanged)
    ) as m (name, value)
    where m.value is not null;
end
$$;

comment on function features._record_assets(uuid, text, text) is
    'Private: traces and metrics of the assets that changed or failed.';

-- Another run may have done the asset since: refresh_state says how it stands now.
create or replace function features._alert_of_assets(p_run_id uuid, p_correlation_id text, p_verb text)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    perform observability.resolve_alert(a.problem)
    from features.refresh_events as e
    join features.refresh_state as s on s.id = e.id and s.verb = p_verb
    join observability.alerts as a
        on a.alert_type = p_verb || '.asset_failed'
        and a.resolved_at is null
        and (a.metadata ->> 'id')::integer = e.id
    where e.run_id = p_run_id
      and (s.failed_at is null or a.metadata ->> 'sqlstate' <> e.error_code);

    perform observability.record_alert(
        p_verb || '.asset_failed', 'warning',
        format('asset %s failed: %s', e.id, e.error_message),
        format('%s asset %s %s', p_verb, e.id, e.error_code),
        jsonb_build_object('id', e.id, 'sqlstate', e.error_code, 'run_id', p_run_id),
        p_correlation_id
    )
    from features.refresh_events as e
    join features.refresh_state as s on s.id = e.id and s.verb = p_verb
    where e.run_id = p_run_id
      and e.error_code is not null
      and s.failed_at is not null;
end
$$;

comment on function features._alert_of_assets(uuid, text, text) is
    'Private: raises the alerts of assets that fail, resolves those of assets that no longer do.';

create or replace function features._alert_of_run(p_run_id uuid, p_correlation_id text, p_verb text, p_status text)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    if p_status = 'abandoned' then
        perform observability.record_alert(
            p_verb || '.abandoned', 'warning',
            'a refresh died on the way; what it committed stays, and the next goes on from there',
            p_verb || ' abandoned', jsonb_build_object('run_id', p_run_id), p_correlation_id
        );
    elsif p_status = 'failed' then
        perform observability.record_alert(
            p_verb || '.failed', 'critical', 'the refresh failed for every asset',
            p_verb || ' failed', jsonb_build_object('run_id', p_run_id), p_correlation_id
        );
    else
        perform observability.resolve_alert(w.problem)
        from unnest(array[p_verb || ' abandoned', p_verb || ' failed']) as w (problem);
    end if;
end
$$;

comment on function features._alert_of_run(uuid, text, text, text) is
    'Private: raises the alert of a run that failed or died, resolves both after one that did not.';

create or replace function features.close_refresh(
    p_run_id uuid,
    p_abandoned boolean default false,
    p_metadata jsonb default '{}'
)
returns text
language plpgsql
volatile parallel unsafe
as $$
declare
    v_verb        text;
    v_correlation text;
    v_started     timestamptz;
    v_ended       timestamptz;
    v_assets      bigint;
    v_failed      bigint;
    v_status      text;
    v_counts      jsonb;
begin
    select
        t.operation,
        t.correlation_id,
        t.start_time,
        count(e.id),
        count(e.error_code),
        case when p_abandoned then coalesce(max(e.ended_at), t.start_time)
            else greatest(t.start_time, max(e.ended_at), clock_timestamp()) end,
        jsonb_build_object(
            'assets', count(e.id),
            'failed', count(e.error_code),
            'rows_read', coalesce(sum(e.rows_read), 0),
            'rows_written', coalesce(sum(e.rows_written), 0),
            'rows_unchanged', coalesce(sum(e.rows_unchanged), 0)
        )
    into v_verb, v_correlation, v_started, v_assets, v_failed, v_ended, v_counts
    from observability.traces as t
    left join features.refresh_events as e on e.run_id = t.trace_id
    where t.trace_id = p_run_id
    group by t.trace_id;
    v_status := case
        when p_abandoned then 'abandoned'
        when v_failed = 0 then 'done'
        when v_failed < v_assets or coalesce((p_metadata ->> 'left_not_failed')::integer, 0) > 0 then 'partial'
        else 'failed'
    end;
    perform observability.end_run(p_run_id, v_status, v_counts || p_metadata, v_ended);

    perform features._record_assets(p_run_id, v_correlation, v_verb);
    perform observability.record_metric(
        v_verb || '.run.' || m.key, m.value::double precision,
        p_recorded_at => v_ended, p_correlation_id => v_correlation
    )
    from jsonb_each_text(
        v_counts || jsonb_build_object('seconds', extract(epoch from v_ended - v_started))
    ) as m;
    perform features._alert_of_assets(p_run_id, v_correlation, v_verb);
    -- A run without an asset has shown nothing.
    if p_abandoned or v_assets > 0 then
        perform features._alert_of_run(p_run_id, v_correlation, v_verb, v_status);
    end if;
    delete from features.refresh_events as e
    where e.run_id = p_run_id;
    return v_status;
end
$$;

comment on function features.close_refresh(uuid, boolean, jsonb) is
    'Ends a refresh: its traces, metrics and alerts from its events, which go; the run''s status.';
