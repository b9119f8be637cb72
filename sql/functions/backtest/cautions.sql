-- backtest.cautions(p_run_id): what to keep in mind before a run is believed, as a table.
--
--     select c.caution, c.detail from backtest.cautions('0b0e...') as c;
--
-- No row is no blessing: these are the usual ways in which a run says too much, and only those that it shows itself.
--   few_trades      fewer than 30 closed trades
--   one_trade       more than half of all that winning trades made, open ones too, is of one of them
--   short_range     less than 365 days, which CAGR, volatility and ratios make a year of
--   uneven_bars     assets of calendars that differ, whose bars do not come once a day; or, of 60 days and more, over 5
--                   percent more or fewer bars a year than annualisation reckons with
--   many_trials     other strategies or settings were run over the same assets, up to this run
--   outgrown        equity over a hundred times the capital: volume is not modelled
--   no_costs        neither fee nor slippage
--   free_shorts     short trades, and no funding
--   ended_assets    assets whose candles end more than 7 days before the run does
--   late_assets     assets whose candles begin more than 7 days after the run does
-- Candles are those that the run read, so that what came later changes nothing. Days are of UTC.
--
-- requires: functions/backtest/require_run.sql, functions/bars/prices_as_of.sql, functions/db/counted.sql

create or replace function backtest._assets_in_words(p_symbols text[], p_days date[])
returns text
language sql
immutable strict parallel safe
as $$
select string_agg(u.symbol || ' ' || u.day, ', ' order by u.place) filter (where u.place <= 5)
    || case when count(*) > 5 then format(' and %s more', count(*) - 5) else '' end
from unnest(p_symbols, p_days) with ordinality as u (symbol, day, place)
$$;

comment on function backtest._assets_in_words(text[], date[]) is
    'Private: assets with a day each; of many the first five.';

create or replace function backtest.cautions(p_run_id uuid)
returns table (caution text, detail text)
language plpgsql
stable parallel safe
as $$
declare
    c_trades constant integer := 30;
    c_year   constant interval := interval '365 days';
    c_growth constant integer := 100;
    c_slack  constant interval := interval '7 days';
    c_span   constant integer := 60;
    c_uneven constant numeric := 0.05;
    v_run    backtest.runs;
begin
    select r.*
    into v_run
    from backtest.require_run(p_run_id) as r;
    return query
    with trade as (
        select
            count(*) filter (where t.exit_ts is not null) as closed,
            count(*) filter (where t.exit_ts is null) as open,
            count(*) filter (where t.direction = 'short') as shorts,
            max(t.net_pnl) as best,
            sum(t.net_pnl) filter (where t.net_pnl > 0) as won
        from backtest.trades as t
        where t.run_id = p_run_id
    ), trial as (
        select count(distinct (
            r.signal_name, r.signal_version, r.params_digest, r.from_ts, r.to_ts, r.fee_bps, r.slippage_bps, r.funding_bps,
            r.sizing, r.fraction, r.vol_target, r.fill, r.capital_limit
        )) as runs
        from backtest.runs as r
        where r.asset_ids = v_run.asset_ids
          and r.created_at <= v_run.created_at
    ), last as (
        select e.equity
        from backtest.equity as e
        where e.run_id = p_run_id
          and e.ts = v_run.last_ts
    ), span as (
        select p.id, coalesce(a.symbol, p.id::text) as symbol, min(p.ts) as first_ts, max(p.ts) as last_ts
        from bars.prices_as_of(
            v_run.data_at,
            array(
                select s.id
                from bars.price_state as s
                where s.id = any (v_run.asset_ids)
                  and s.first_recorded_at <= v_run.data_at
            )
        ) as p
        left join bars.dim_assets as a using (id)
        where p.ts between v_run.first_ts and v_run.last_ts
        group by p.id, a.symbol
    ), pace as (
        select
            w.days, (v_run.bars - 1) / nullif(w.days, 0) * 365.25 as yearly,
            (
                select count(distinct s.annualisation_days) > 1
                from bars.dim_assets as a
                join timemodel.dim_sessions as s using (session_id)
                where a.id = any (v_run.asset_ids)
            ) as is_mixed
        from (
            select (extract(epoch from v_run.last_ts - v_run.first_ts) / 86400)::double precision as days
        ) as w
    ), part as (
        select
            array_agg(s.symbol order by s.last_ts, s.id) filter (where s.last_ts < v_run.last_ts - c_slack) as ended,
            array_agg((s.last_ts at time zone 'UTC')::date order by s.last_ts, s.id)
                filter (where s.last_ts < v_run.last_ts - c_slack) as ended_on,
            array_agg(s.symbol order by s.first_ts, s.id) filter (where s.first_ts > v_run.first_ts + c_slack) as late,
            array_agg((s.first_ts at time zone 'UTC')::date order by s.first_ts, s.id)
                filter (where s.first_ts > v_run.first_ts + c_slack) as late_on
        from span as s
    )

    select c.caution, c.detail
    from (
        select
            1, 'few_trades',
            case
                when t.closed = 0 and t.open = 0 then 'There was no trade.'
                when t.closed = 0 then 'No trade was closed: the result is that of positions that are still open.'
                else format('%s: below %s, rates and ratios are mostly chance.', db.counted(t.closed, 'closed trade'), c_trades)
            end
        from trade as t
        where t.closed < c_trades
        union all
        select
            2, 'one_trade',
            format('One trade made %s percent of all that winning trades made.', round((100 * t.best / t.won)::numeric))
        from trade as t
        where t.best > t.won / 2
          and t.closed + t.open > 1
        union all
        select
            3, 'short_range',
            format(
                '%s days are taken for a year by CAGR, volatility and ratios.',
                round(extract(epoch from v_run.last_ts - v_run.first_ts) / 86400)
            )
        where v_run.last_ts - v_run.first_ts < c_year
        union all
        select
            4, 'uneven_bars',
            format(
                '%s%s bars a year are annualised as %s: volatility, alpha and ratios are off by that.',
                case when p.is_mixed then 'The assets have different calendars. ' else '' end,
                round(p.yearly), v_run.annualisation_days
            )
        from pace as p
        where p.is_mixed and p.days > 0
           or p.days >= c_span
          and abs(p.yearly / v_run.annualisation_days - 1) > c_uneven
        union all
        select
            5, 'many_trials',
            format(
                'One of %s strategies or settings that were run over the same assets up to then. The best of many is partly chance; no figure is corrected for that.',
                n.runs
            )
        from trial as n
        where n.runs > 1
        union all
        select
            6, 'outgrown',
            format(
                'Equity grew %s-fold. Volume is not modelled: the market may have had no room for such orders.',
                round((l.equity / v_run.capital)::numeric)
            )
        from last as l
        where l.equity > c_growth * v_run.capital
        union all
        select 7, 'no_costs', 'Neither fee nor slippage: trading cost nothing.'
        where v_run.fee_bps = 0
          and v_run.slippage_bps = 0
        union all
        select 8, 'free_shorts', 'Shorts paid neither funding nor a loan.'
        from trade as t
        where t.shorts > 0
          and v_run.funding_bps = 0
        union all
        select
            9, 'ended_assets',
            format(
                'Candles end early: %s. What is held of them stays at the last close, which nobody need have paid.',
                backtest._assets_in_words(p.ended, p.ended_on)
            )
        from part as p
        where p.ended is not null
        union all
        select
            10, 'late_assets',
            format(
                'Candles begin late: %s. Buy and hold keeps their parts in cash until then.',
                backtest._assets_in_words(p.late, p.late_on)
            )
        from part as p
        where p.late is not null
    ) as c (place, caution, detail)
    order by c.place;
end
$$;

comment on function backtest.cautions(uuid) is
    'What to keep in mind before a run is believed, a row each: few trades, short range, many trials, no costs, assets that ended. No row proves nothing.';
