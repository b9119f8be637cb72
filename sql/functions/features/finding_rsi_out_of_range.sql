-- features.finding_rsi_out_of_range(p_ids, p_froms, p_threshold): relative strength indexes that are none, one row for each.
--
--     select f.* from features.finding_rsi_out_of_range('{1}', '{-infinity}', 100) as f;
--
-- A rule of dim_finding_rules: an RSI lies between 0 and the threshold, both included. All columns that
-- dim_indicators names for the kind are looked at, the value is the worst of the row.

create or replace function features.finding_rsi_out_of_range(
    p_ids integer[],
    p_froms timestamptz[],
    p_threshold double precision
)
returns table (id integer, ts timestamptz, value double precision)
language plpgsql
stable parallel safe
as $$
declare
    v_columns text := (
        select string_agg(format('d.%I', c.name), ', ' order by c.name)
        from features.dim_indicators as i
        cross join unnest(i.columns) as c (name)
        join pg_catalog.pg_attribute as a
            on a.attrelid = 'features.cmc_ta_daily'::regclass
            and a.attname = c.name
        where i.kind = 'rsi'
    );
begin
    if v_columns is null then
        return;
    end if;
    -- Dynamic: which columns there are stands in dim_indicators.
    for id, ts, value in execute format(
        $query$
        select w.id, r.ts, case when r.least < 0 then r.least else r.greatest end
        from unnest($1, $2) as w (id, from_ts)
        cross join lateral (
            select d.ts, least(%1$s) as least, greatest(%1$s) as greatest
            from features.cmc_ta_daily as d
            where d.id = w.id
              and d.ts >= w.from_ts
            -- By the key, asset by asset: a join may read the whole table for a new day.
            offset 0
        ) as r
        where r.least < 0
           or r.greatest > $3
        $query$,
        v_columns
    ) using p_ids, p_froms, p_threshold
    loop
        return next;
    end loop;
end
$$;

comment on function features.finding_rsi_out_of_range(integer[], timestamptz[], double precision) is
    'Rows with an RSI below 0 or over the threshold; the worst of the row.';
