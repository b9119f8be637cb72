-- features.finding_percent_against_log(p_ids, p_froms, p_threshold): percent and log returns that contradict each other, one row for each.
--
--     select f.* from features.finding_percent_against_log('{1}', '{-infinity}', 1e-12) as f;
--
-- A rule of dim_finding_rules.
-- One plus the percent return is the ratio of the closes, and so is e to the log return. Their difference is taken as
-- a fraction of the ratio, of 1 where that is less: a percent return near -1 has no more digits. What e can't be
-- raised to is left out.

create or replace function features.finding_percent_against_log(
    p_ids integer[],
    p_froms timestamptz[],
    p_threshold double precision
)
returns table (id integer, ts timestamptz, value double precision)
language plpgsql
stable parallel safe
as $$
begin
    return query
    select r.id, r.ts, v.value
    from unnest(p_ids, p_froms) as w (id, from_ts)
    join features.cmc_returns_daily as r on r.id = w.id and r.ts >= w.from_ts
    cross join lateral (
        select max(abs(1 + s.pct - exp(s.log)) / greatest(1, exp(s.log)))
        from (
            values
                (r.ret_pct_1, r.ret_log_1), (r.ret_pct_3, r.ret_log_3), (r.ret_pct_5, r.ret_log_5),
                (r.ret_pct_7, r.ret_log_7), (r.ret_pct_14, r.ret_log_14), (r.ret_pct_21, r.ret_log_21),
                (r.ret_pct_30, r.ret_log_30), (r.ret_pct_63, r.ret_log_63),
                (r.ret_pct_126, r.ret_log_126), (r.ret_pct_252, r.ret_log_252)
        ) as s (pct, log)
        where s.log between -700 and 700
    ) as v (value)
    where v.value > p_threshold;
end
$$;

comment on function features.finding_percent_against_log(integer[], timestamptz[], double precision) is
    'Rows whose percent and log return of a span part by more than the threshold, a fraction; the largest of the row.';
