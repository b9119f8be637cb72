-- features.daily_features(p_id, p_sessions, p_candles, p_returns, p_vol, p_ta, p_emas): one asset's rows of the daily feature store, joined from rows of its sources.
--
--     select d.ts, d.close, d.ret_pct_1, d.ema_21
--     from features.daily_features(1, sessions, candles, returns, volatilities, indicators, emas) as d;
--
-- A row for each of p_sessions, and null for what a source has no row of. Only the source may be
-- missing: that a session has no candle is what is_gap says. The EMAs are rows of cmc_ema_multi_tf, those
-- of the timeframe 1D count. Columns have the names of their sources; those that are ambiguous here have the
-- source before them; indicators that were added are in extra, those with a value. A row can be known when the last of its parts can.
-- _daily_row is the one definition of a row, for what refreshes the table and for what computes it as of a
-- moment. It is a query's part rather than a call: the planner puts its text into the query.

create or replace function features._daily_row(
    p_id integer,
    p_ts timestamptz,
    p_class text,
    p_slots integer[],
    p_own text[],
    c bars.cmc_price_histories7,
    r features.cmc_returns_daily,
    v features.cmc_vol_daily,
    t features.cmc_ta_daily,
    e features.cmc_ema_multi_tf
)
returns setof features.cmc_daily_features
language sql
stable parallel safe
as $$
select
    p_id,
    p_ts,
    greatest(p_ts, r.available_at, v.available_at, t.available_at),
    p_class,
    c.ts is null,
    coalesce(v.is_filled, false) or coalesce(t.is_filled, false),
    c.open, c.high, c.low, c.close, c.volume, c.market_cap,
    r.ret_pct_1, r.ret_pct_3, r.ret_pct_5, r.ret_pct_7, r.ret_pct_14,
    r.ret_pct_21, r.ret_pct_30, r.ret_pct_63, r.ret_pct_126, r.ret_pct_252,
    r.ret_log_1, r.ret_log_3, r.ret_log_5, r.ret_log_7, r.ret_log_14,
    r.ret_log_21, r.ret_log_30, r.ret_log_63, r.ret_log_126, r.ret_log_252,
    r.ret_z_1, r.ret_z_7, r.ret_z_30,
    r.gap_days,
    r.outlier_z_1, r.outlier_z_7, r.outlier_z_30,
    r.outlier_iqr_1, r.outlier_iqr_7, r.outlier_iqr_30,
    v.is_filled,
    v.parkinson_20, v.parkinson_63, v.parkinson_126,
    v.garman_klass_20, v.garman_klass_63, v.garman_klass_126,
    v.rogers_satchell_20, v.rogers_satchell_63, v.rogers_satchell_126,
    v.close_to_close_20, v.close_to_close_63, v.close_to_close_126,
    v.atr_14,
    v.z_parkinson_20, v.z_garman_klass_20, v.z_rogers_satchell_20, v.z_close_to_close_20,
    v.outlier_z_parkinson_20, v.outlier_z_garman_klass_20,
    v.outlier_z_rogers_satchell_20, v.outlier_z_close_to_close_20,
    v.outlier_iqr_parkinson_20, v.outlier_iqr_garman_klass_20,
    v.outlier_iqr_rogers_satchell_20, v.outlier_iqr_close_to_close_20,
    t.is_filled,
    t.rsi_7, t.rsi_14, t.rsi_21,
    t.macd_12_26_9, t.macd_signal_12_26_9, t.macd_hist_12_26_9,
    t.macd_8_17_9, t.macd_signal_8_17_9, t.macd_hist_8_17_9,
    t.stoch_k_14_3, t.stoch_d_14_3,
    t.bb_upper_20_2, t.bb_middle_20_2, t.bb_lower_20_2, t.bb_width_20_2,
    t.atr_14, t.adx_14, t.plus_di_14, t.minus_di_14,
    e.ema[p_slots[1]], e.ema[p_slots[2]],
    e.ema[p_slots[3]], e.ema[p_slots[4]],
    e.ema[p_slots[5]],
    case when p_own is not null then nullif(jsonb_strip_nulls(to_jsonb(t) - p_own), '{}') end
$$;

comment on function features._daily_row(
    integer, timestamptz, text, integer[], text[], bars.cmc_price_histories7, features.cmc_returns_daily,
    features.cmc_vol_daily, features.cmc_ta_daily, features.cmc_ema_multi_tf
) is 'Private: one row of the store from a row of each source; p_slots are those of its EMAs, p_own its columns where the indicators have others.';

create or replace function features._daily_layout(out tf_id integer, out slots integer[], out own text[])
language sql
stable parallel safe
as $$
with columns as (
    select a.attrelid::regclass as relation, a.attname::text as name
    from pg_catalog.pg_attribute as a
    where a.attrelid in ('features.cmc_ta_daily'::regclass, 'features.cmc_daily_features'::regclass)
      and a.attnum > 0
      and not a.attisdropped
)

select
    (select t.tf_id from timemodel.dim_timeframe as t where t.tf = '1D'),
    array(
        select p.slot::integer
        from unnest(array[9, 10, 21, 50, 200]) with ordinality as n (period, place)
        left join features.dim_ema_periods as p using (period)
        order by n.place
    ),
    (
        select array_agg(c.name)
        from columns as c
        where c.relation = 'features.cmc_daily_features'::regclass
          and exists (
              select
              from columns as a
              where a.relation = 'features.cmc_ta_daily'::regclass
                and a.name not in (
                    select o.name from columns as o where o.relation = 'features.cmc_daily_features'::regclass
                )
          )
    )
$$;

comment on function features._daily_layout() is
    'Private: the timeframe 1D, the slots of the store''s EMAs, and its columns where cmc_ta_daily has others; else null.';

create or replace function features.daily_features(
    p_id integer,
    p_sessions timestamptz[],
    p_candles bars.cmc_price_histories7[],
    p_returns features.cmc_returns_daily[],
    p_vol features.cmc_vol_daily[],
    p_ta features.cmc_ta_daily[],
    p_emas features.cmc_ema_multi_tf[]
)
returns setof features.cmc_daily_features
language plpgsql
stable parallel unsafe
-- The plan is kept for the session and must serve thousands of rows too, not the few that it guesses.
set enable_nestloop = off
as $$
declare
    v_class  text := (select a.session_id from bars.dim_assets as a where a.id = p_id);
    v_layout record;
begin
    select l.* into v_layout from features._daily_layout() as l;
    return query
    select d.*
    from unnest(p_sessions) as s (ts)
    left join unnest(p_candles) as c on c.ts = s.ts
    left join unnest(p_returns) as r on r.ts = s.ts
    left join unnest(p_vol) as v on v.ts = s.ts
    left join unnest(p_ta) as t on t.ts = s.ts
    left join unnest(p_emas) as e on e.time_close = s.ts and e.tf_id = v_layout.tf_id
    cross join lateral features._daily_row(
        p_id, s.ts, v_class, v_layout.slots, v_layout.own, c, r, v, t, e
    ) as d;
end
$$;

comment on function features.daily_features(
    integer, timestamptz[], bars.cmc_price_histories7[], features.cmc_returns_daily[],
    features.cmc_vol_daily[], features.cmc_ta_daily[], features.cmc_ema_multi_tf[]
) is 'Rows of cmc_daily_features for these sessions, from rows of its sources; null where a source has none.';
