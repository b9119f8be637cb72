-- timemodel.check_alignment(p_relation): rows of a relation that close no bar, as one row per fault.
--
--     select * from timemodel.check_alignment('pg_temp.my_bars');
--
-- The relation, a table or a view, has id, session_id and first_session (the asset, its session,
-- the session of its first candle), and either tf_id and time_close or tf and ts. Each of its rows
-- must end with a window of its timeframe, to the millisecond. The time model knows no asset:
-- whoever calls it, from a slice above, joins the first two to what is to be checked.
--
-- requires: functions/timemodel/timeframe_windows.sql, functions/timemodel/market_date.sql

create or replace function timemodel._alignment_columns(p_relation regclass)
returns text[]
language plpgsql
stable parallel safe
as $$
declare
    v_columns text[];
    v_missing text[];
begin
    select coalesce(array_agg(a.attname), '{}')
    into v_columns
    from pg_catalog.pg_attribute as a
    where a.attrelid = p_relation
      and a.attnum > 0
      and not a.attisdropped;
    v_missing := array(
        select n.name
        from unnest(array['id', 'session_id', 'first_session']) as n (name)
        where n.name <> all (v_columns)
    );
    if v_missing = '{}' and v_columns @> array['tf_id', 'time_close'] then
        return array['tf_id', 'time_close'];
    elsif v_missing = '{}' and v_columns @> array['tf', 'ts'] then
        return array['tf', 'ts'];
    end if;
    raise exception '% has no columns that could be checked', p_relation
        using errcode = 'TA110',
              detail = format(
                  'It lacks %s.',
                  coalesce(nullif(array_to_string(v_missing, ', '), ''), 'tf_id and time_close, or tf and ts')
              ),
              hint = 'Join the asset''s session and the session of its first candle in a view, and give that.';
end
$$;

comment on function timemodel._alignment_columns(regclass) is
    'Private: the names of the columns that hold timeframe and end of the rows that are checked.';

create or replace function timemodel.check_alignment(p_relation regclass)
returns table (id integer, tf text, ts timestamptz)
language plpgsql
stable parallel safe
as $$
declare
    v_columns text[] := timemodel._alignment_columns(p_relation);
begin
    for id, tf, ts in execute format(
        $query$
            with checked as (
                select r.id, t.tf_id, t.tf, r.session_id, r.first_session, r.%2$I as ts
                from %1$s as r
                left join timemodel.dim_timeframe as t on t.%3$I = r.%3$I
            ), series as (
                select
                    c.tf_id, c.session_id, c.first_session,
                    timemodel.market_date(c.session_id, min(c.ts)) as first_on,
                    timemodel.market_date(c.session_id, max(c.ts)) as last_on
                from checked as c
                where c.tf_id is not null
                group by c.tf_id, c.session_id, c.first_session
            ), ends as (
                select s.tf_id, s.session_id, s.first_session, w.time_close
                from series as s
                cross join lateral timemodel.timeframe_windows(
                    s.tf_id, s.session_id, s.first_session, s.first_on, s.last_on
                ) as w
            )
            select c.id, c.tf, c.ts
            from checked as c
            left join ends as e
                on e.tf_id = c.tf_id
                and e.session_id = c.session_id
                and e.first_session = c.first_session
                and e.time_close = c.ts
            where e.time_close is null
            order by c.id, c.tf, c.ts
        $query$,
        p_relation, v_columns[2], v_columns[1]
    )
    loop
        return next;
    end loop;
end
$$;

comment on function timemodel.check_alignment(regclass) is
    'The rows whose end is not that of a window of their timeframe.';

grant execute on function timemodel._alignment_columns(regclass) to ta_lab2_research;
grant execute on function timemodel.check_alignment(regclass) to ta_lab2_research;
