-- features.refresh_chosen(p_ids, p_rebuild, p_fingerprints, p_chosen): bring some indicators of assets up to date, as a row for each asset that was due.
--
--     select c.id, c.rows_written
--     from features.refresh_chosen('{1,1027}', false, features.fingerprints(), features.chosen_indicators('{rsi}')) as c;
--
-- Called by refresh_features where p_indicators is given, in the place of features.refresh_assets. It writes the columns
-- of these indicators and leaves the others as they are. It takes no dirty range and records no
-- progress: what was due is due as before, and the next refresh of all ends in the same bits as if
-- this had not been. So nothing has to be kept about who is how far.
-- Without a state to go on from, recurrences begin at the first candle each time; only rows from the first
-- change on are compared, all of them where an indicator was never worked out.
-- In a row that lay on a line to the next candle, where another candle has come between, the others
-- are null till then: that line would tell what nobody knew.
--
-- requires: functions/features/refresh_indicators.sql, functions/features/indicators_kernel.sql
-- requires: functions/features/indicator_state.sql, functions/features/due.sql
-- requires: functions/features/replace_rows.sql, functions/features/sessions_between.sql
-- requires: functions/bars/volume_unit.sql, functions/bars/log_dirty_range.sql

create or replace function features._refresh_chosen_of(p_id integer, p_from timestamptz, p_chosen integer[])
returns table (
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz
)
language plpgsql
volatile parallel unsafe
as $$
declare
    c_never   constant timestamptz := timestamptz '-infinity';
    v_layout  record;
    v_active  jsonb;
    v_keep    text[];
    v_after   timestamptz := c_never;
    v_unit    text := bars.volume_unit(p_id);
    v_candles record;
    v_kept    record;
    v_stored  bytea[];
    v_kernel  record;
begin
    -- As in refresh_indicators: no column comes while rows are laid out.
    lock table features.cmc_ta_daily in access share mode;
    select l.* into v_layout from features._indicator_layout() as l;
    select jsonb_agg(a.row order by (a.row ->> 'indicator_id')::integer)
    into v_active
    from jsonb_array_elements(v_layout.active) as a (row)
    where (a.row ->> 'indicator_id')::integer = any (p_chosen);
    if v_active is null then
        return;
    end if;
    v_keep := array(
        select c.name
        from unnest(v_layout.columns) with ordinality as c (name, place)
        where not exists (
            select
            from jsonb_array_elements(v_active) as a (row)
            where a.row -> 'columns' ? c.name
        )
        order by c.place
    );
    -- One that the state does not know has no values yet.
    if p_from > c_never and p_chosen <@ array(
        select unnest(features._indicators_of(s.state))
        from features.feature_state as s
        where s.id = p_id
          and s.feature_type = 'indicators'
    ) then
        select coalesce(max(b.ts), c_never)
        into v_after
        from bars.cmc_price_histories7 as b
        where b.id = p_id
          and b.ts < p_from;
    end if;

    select
        array_send(features.sessions_between(p_id, min(b.ts), max(b.ts))) as sessions,
        array_send(array_agg(b.ts order by b.ts)) as ts,
        array_send(array_agg(b.open order by b.ts)) as open,
        array_send(array_agg(b.high order by b.ts)) as high,
        array_send(array_agg(b.low order by b.ts)) as low,
        array_send(array_agg(b.close order by b.ts)) as close,
        array_send(array_agg(coalesce(
            case when v_unit = 'quote' then b.volume / b.close else b.volume end, 'NaN'
        ) order by b.ts)) as volume,
        count(*) as read
    into v_candles
    from bars.cmc_price_histories7 as b
    where b.id = p_id;
    select k.ts, k.numbers
    into v_kept
    from features._kept_columns(p_id, v_keep, v_after, 'infinity') as k
    where v_keep <> '{}';
    select array_agg(record_send(t))
    into v_stored
    from features.cmc_ta_daily as t
    where t.id = p_id
      and t.ts > v_after;

    select k.*
    into v_kernel
    from features.indicators_kernel(
        array[p_id], v_layout.columns, v_active,
        (select f.null_policy from features.dim_features as f where f.feature_type = 'indicators'),
        '{1}', array[v_candles.sessions], array[v_candles.ts], array[v_candles.open],
        array[v_candles.high], array[v_candles.low], array[v_candles.close], array[v_candles.volume],
        array_send(array[v_after]), array_send(array[c_never]), '{null}',
        v_keep, array[v_kept.ts], array[v_kept.numbers], v_stored
    ) as k;
    perform features.replace_rows(
        'features.cmc_ta_daily', v_kernel.stale_ids, v_kernel.stale, v_kernel.packed
    );
    return query
    select v_candles.read, v_kernel.changed[1]::bigint, v_kernel.unchanged[1]::bigint, v_after;
end
$$;

comment on function features._refresh_chosen_of(integer, timestamptz, integer[]) is
    'Private: writes the columns of some indicators of one asset from a ts on.';

create or replace function features.refresh_chosen(
    p_ids integer[],
    p_rebuild boolean,
    p_fingerprints jsonb,
    p_chosen integer[]
)
returns table (id integer, rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_done  record;
begin
    for v_done in
        select d.id, c.*
        from features.due(
            p_ids, p_rebuild, jsonb_build_object('indicators', p_fingerprints -> 'indicators')
        ) as d
        cross join lateral features._refresh_chosen_of(d.id, d.from_ts, p_chosen) as c
        order by d.id
    loop
        if v_done.rows_written > 0 then
            perform bars.log_dirty_range(v_done.id, v_done.changed_from, 'infinity', 'cmc_ta_daily');
        end if;
        return query
        select v_done.id, v_done.rows_read, v_done.rows_written, v_done.rows_unchanged;
    end loop;
    update features.refresh_state as s
    set refreshed_at = v_began
    where s.id = any (p_ids)
      and s.verb = 'refresh_features';
end
$$;

comment on function features.refresh_chosen(integer[], boolean, jsonb, integer[]) is
    'Writes the columns of some indicators where indicators are due, and leaves them due; candles read, rows written, rows left alone.';
