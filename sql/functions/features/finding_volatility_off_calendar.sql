-- features.finding_volatility_off_calendar(p_ids, p_froms, p_threshold): where cmc_vol_daily and the calendar part, one row for each.
--
--     select f.* from features.finding_volatility_off_calendar('{1}', '{-infinity}', null) as f;
--
-- A rule of dim_finding_rules.
--
-- requires: functions/features/off_calendar.sql

create or replace function features.finding_volatility_off_calendar(
    p_ids integer[],
    p_froms timestamptz[],
    p_threshold double precision
)
returns table (id integer, ts timestamptz, value double precision)
language sql
stable parallel safe
as $$
select o.id, o.ts, o.value
from features.off_calendar(p_ids, p_froms, 'features.cmc_vol_daily') as o
$$;

comment on function features.finding_volatility_off_calendar(integer[], timestamptz[], double precision) is
    'Rows of cmc_vol_daily that are no session (1), and sessions without a row (-1); needs no threshold.';
