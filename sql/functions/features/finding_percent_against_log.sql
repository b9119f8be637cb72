-- features.finding_percent_against_log(p_ids, p_froms, p_threshold): percent and log returns that contradict each other, one row for each.
--
--     select f.* from features.finding_percent_against_log('{1}', '{-infinity}', 1e-12) as f;
--
-- A rule of dim_finding_rules.
-- One plus the percent return is the ratio of the closes, and so is e to the log return. Their difference is taken as
-- a fraction of the ratio, of 1 where that is less: a percent return near -1 has no more digits. What e can't be
-- raised to is left out. As the fraction is never larger than the difference, a row whose differences are
-- all within the threshold needs no closer look, which is nearly every row.

create or replace function features._apart(pct double precision, log double precision)
returns double precision
language sql
immutable parallel safe
as $$
select case when log between -700 and 700 then abs(1 + pct - exp(log)) / greatest(1, exp(log)) end
$$;

comment on function features._apart(double precision, double precision) is
    'Private: by how much a percent return parts from the logarithm, as a fraction; null where either is.';

create or replace function features._may_part(
    pct double precision,
    log double precision,
    threshold double precision
)
returns boolean
language sql
immutable parallel safe
as $$
select case when log between -700 and 700 then abs(1 + pct - exp(log)) > threshold end
$$;

comment on function features._may_part(double precision, double precision, double precision) is
    'Private: whether features._apart of these could be over the threshold; null where either is.';

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
    select w.id, r.ts, r.value
    from unnest(p_ids, p_froms) as w (id, from_ts)
    cross join lateral (
        select
            d.ts,
            greatest(
                features._apart(d.ret_pct_1, d.ret_log_1), features._apart(d.ret_pct_3, d.ret_log_3),
                features._apart(d.ret_pct_5, d.ret_log_5), features._apart(d.ret_pct_7, d.ret_log_7),
                features._apart(d.ret_pct_14, d.ret_log_14), features._apart(d.ret_pct_21, d.ret_log_21),
                features._apart(d.ret_pct_30, d.ret_log_30), features._apart(d.ret_pct_63, d.ret_log_63),
                features._apart(d.ret_pct_126, d.ret_log_126), features._apart(d.ret_pct_252, d.ret_log_252)
            ) as value
        from features.cmc_returns_daily as d
        where d.id = w.id
          and d.ts >= w.from_ts
          and (
              features._may_part(d.ret_pct_1, d.ret_log_1, p_threshold)
              or features._may_part(d.ret_pct_3, d.ret_log_3, p_threshold)
              or features._may_part(d.ret_pct_5, d.ret_log_5, p_threshold)
              or features._may_part(d.ret_pct_7, d.ret_log_7, p_threshold)
              or features._may_part(d.ret_pct_14, d.ret_log_14, p_threshold)
              or features._may_part(d.ret_pct_21, d.ret_log_21, p_threshold)
              or features._may_part(d.ret_pct_30, d.ret_log_30, p_threshold)
              or features._may_part(d.ret_pct_63, d.ret_log_63, p_threshold)
              or features._may_part(d.ret_pct_126, d.ret_log_126, p_threshold)
              or features._may_part(d.ret_pct_252, d.ret_log_252, p_threshold)
          )
        -- By the key, asset by asset: a join may read the whole table for a new day.
        offset 0
    ) as r
    where r.value > p_threshold;
end
$$;

comment on function features.finding_percent_against_log(integer[], timestamptz[], double precision) is
    'Rows whose percent and log return of a span part by more than the threshold, a fraction; the largest of the row.';
