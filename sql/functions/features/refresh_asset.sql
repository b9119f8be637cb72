-- features.refresh_asset(p_id, p_rebuild, p_fingerprints, p_due, p_verb): bring one asset's features up to date, as counts of rows.
--
--     select c.rows_written from features.refresh_asset(1) as c;
--
-- Called by refresh_features, which holds the asset's row of refresh_state and knows for a whole
-- batch what is due: p_due, first ts by feature type. Each computation does the same: take what is dirty, let its step read, work out and write what differs, keep how far
-- it came, and tell those who read its table from where on its rows may be others.
-- A step is a function from (p_id, p_from), the first ts that is due, to one row: rows_read,
-- rows_written, rows_unchanged; changed_from, before which no row was touched; last_ts and state,
-- for record_progress. Those of a slice above this one are called by the name that dim_computations has.
--
-- requires: functions/features/fingerprints.sql, functions/features/due.sql, functions/features/take_dirty.sql
-- requires: functions/features/record_progress.sql, functions/bars/log_dirty_range.sql
-- requires: functions/features/refresh_bars.sql, functions/features/refresh_returns.sql
-- requires: functions/features/refresh_vol.sql, functions/features/refresh_emas.sql

create or replace function features._registered_step(p_step regproc, p_id integer, p_from timestamptz)
returns setof record
language plpgsql
volatile parallel unsafe
as $$
begin
    return query execute format('select d.* from %s($1, $2) as d', p_step) using p_id, p_from;
end
$$;

comment on function features._registered_step(regproc, integer, timestamptz) is
    'Private: calls a step of dim_computations.';

create or replace function features.refresh_asset(
    p_id integer,
    p_rebuild boolean default false,
    p_fingerprints jsonb default null,
    p_due jsonb default null,
    p_verb text default 'refresh_features'
)
returns table (rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
-- Planning a read of the partitioned candles takes as long as the read of an increment.
set plan_cache_mode = force_generic_plan
as $$
declare
    v_began        timestamptz := clock_timestamp();
    v_fingerprints jsonb := coalesce(p_fingerprints, features.fingerprints(p_verb));
    v_due          jsonb := p_due;
    v_step         record;
    v_from         timestamptz;
    v_done         record;
begin
    rows_read := 0;
    rows_written := 0;
    rows_unchanged := 0;
    if v_due is null then
        select coalesce(jsonb_object_agg(d.feature_type, d.from_ts), '{}')
        into v_due
        from features.due(array[p_id], p_rebuild, v_fingerprints) as d;
    end if;
    for v_step in
        select
            c.feature_type,
            c.feature_name,
            c.step,
            v_fingerprints ->> c.feature_type as fingerprint,
            (v_due ->> c.feature_type)::timestamptz as from_ts
        from features.computations(p_verb) with ordinality as c (feature_type, feature_name, kernel, step, place)
        order by c.place
    loop
        v_from := features.take_dirty(p_id, v_step.feature_type, v_step.from_ts);
        continue when v_from is null;
        if v_from = '-infinity' and not p_rebuild and exists (
            select
            from features.feature_state as s
            where s.id = p_id
              and s.feature_type = v_step.feature_type
              and s.fingerprint <> v_step.fingerprint
        ) then
            raise notice '%: asset %: % rebuilt, their arithmetic or configuration changed',
                p_verb, p_id, v_step.feature_type;
        end if;
        case v_step.feature_type
            when 'bars' then
                select d.* into v_done from features.refresh_bars(p_id, v_from) as d;
            when 'returns' then
                select d.* into v_done from features.refresh_returns(p_id, v_from) as d;
            when 'volatility' then
                select d.* into v_done from features.refresh_vol(p_id, v_from) as d;
            when 'ema' then
                select d.* into v_done from features.refresh_emas(p_id, v_from) as d;
            else
                select d.*
                into v_done
                from features._registered_step(v_step.step, p_id, v_from) as d (
                    rows_read bigint, rows_written bigint, rows_unchanged bigint,
                    changed_from timestamptz, last_ts timestamptz, state bytea
                );
        end case;
        perform features.record_progress(
            p_id, v_step.feature_type, v_step.feature_name, v_step.fingerprint,
            v_done.last_ts, v_done.state
        );
        if v_done.rows_written > 0 then
            perform bars.log_dirty_range(
                p_id, v_done.changed_from, 'infinity', v_step.feature_name
            );
        end if;
        rows_read := rows_read + v_done.rows_read;
        rows_written := rows_written + v_done.rows_written;
        rows_unchanged := rows_unchanged + v_done.rows_unchanged;
    end loop;
    update features.refresh_state as s
    set refreshed_at = v_began,
        failed_at = null,
        last_error = null
    where s.id = p_id
      and s.verb = p_verb;
    return next;
end
$$;

comment on function features.refresh_asset(integer, boolean, jsonb, jsonb, text) is
    'Brings all that a verb computes of one asset up to date; candles read, rows written or removed, rows left alone.';
