-- features.finding_mostly_null(p_ids, p_froms, p_threshold): feature rows with too many nulls after the warm-up, one row for each.
--
--     select f.* from features.finding_mostly_null('{1}', '{-infinity}', 0.1) as f;
--
-- A rule of dim_finding_rules. The value is the share of the computed columns that are null. The warm-up of an asset
-- is its first 400 rows: a z-score of 30 sessions needs 282, one of a volatility 272. Rows of sessions
-- without a candle are left out (sessions_absent tells of them), and what a source may lack: volume, market
-- cap, and columns that dim_indicators has added since.

create or replace function features.finding_mostly_null(
    p_ids integer[],
    p_froms timestamptz[],
    p_threshold double precision
)
returns table (id integer, ts timestamptz, value double precision)
language plpgsql
stable parallel safe
as $$
declare
    c_warm_up constant integer := 400;
    v_columns text;
    v_count   double precision;
begin
    select string_agg(format('d.%I', a.attname), ', ' order by a.attnum), count(*)
    into v_columns, v_count
    from pg_catalog.pg_attribute as a
    where a.attrelid = 'features.cmc_daily_features'::regclass
      and a.attnum > 0
      and not a.attisdropped
      and not a.attnotnull
      and a.attname not in ('volume', 'market_cap', 'extra');
    -- Dynamic: the columns are those of the table.
    for id, ts, value in execute format(
        $query$
        select w.id, r.ts, r.missing / $4
        from unnest($1, $2) as w (id, from_ts)
        cross join lateral (
            select s.ts
            from features.cmc_daily_features as s
            where s.id = w.id
            order by s.ts
            offset $5
            limit 1
        ) as warm
        cross join lateral (
            select d.ts, num_nulls(%s)::double precision as missing
            from features.cmc_daily_features as d
            where d.id = w.id
              and d.ts >= greatest(w.from_ts, warm.ts)
              and not d.is_gap
            -- By the key, asset by asset: a join may read the whole table for a new day.
            offset 0
        ) as r
        where r.missing > $3 * $4
        $query$,
        v_columns
    ) using p_ids, p_froms, p_threshold, v_count, c_warm_up
    loop
        return next;
    end loop;
end
$$;

comment on function features.finding_mostly_null(integer[], timestamptz[], double precision) is
    'Rows of cmc_daily_features with a larger share of nulls than the threshold, after 400 rows; the share.';
