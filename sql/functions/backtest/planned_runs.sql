-- backtest.planned_runs(p_signals, p_asset_ids, p_each_asset, p_from, p_to, p_cost_model, p_capital, p_sizing, p_fraction, p_fill, p_capital_limit, p_known_at, p_label, p_vol_target): the runs that are asked for, checked and not yet worked out, one row each.
--
--     select r.signal_name, r.asset_ids
--     from backtest.planned_runs(
--         null, null, true, null, null, 'realistic', 10000, 'all_in', 1, 'next_open', 1, null, 'seeds', 0.20
--     ) as r;
--
-- All active signals by default. Of each signal one run over all assets that have it (or those that are named), or one for each of
-- them. What nobody knows and what can't be is refused here, before anything is read.
--
-- requires: functions/features/assets_to_refresh.sql, functions/signals/refresh_type.sql

create or replace function backtest._refuse_name(
    p_what text,
    p_state text,
    p_name text,
    p_known text[],
    p_table text
)
returns void
language plpgsql
stable parallel safe
as $$
begin
    raise exception 'no % is called %', p_what, coalesce(p_name, 'null')
        using errcode = p_state,
              detail = format('There are %s.', array_to_string(p_known, ', ')),
              hint = format('select * from %s lists them; a new one is an insert.', p_table);
end
$$;

comment on function backtest._refuse_name(text, text, text, text[], text) is
    'Private: an error about a name that is not in a table, with those that are.';

create or replace function backtest._check_settings(p_run backtest.runs)
returns void
language plpgsql
stable parallel safe
as $$
declare
    -- Not "capital <= 0": of null and NaN nothing is true that is asked for here.
    v_wrong text := case
        when (p_run.capital > 0 and p_run.capital <= 1e15) is not true then
            format('p_capital is %L: it must be above 0, and at most 1e15.', p_run.capital)
        when (p_run.sizing in ('all_in', 'fixed_fraction', 'volatility_target')) is not true then
            format('p_sizing is %L: it is all_in, fixed_fraction or volatility_target.', p_run.sizing)
        when (p_run.fraction > 0 and p_run.fraction <= 1) is not true then
            format('p_fraction is %L: it must be above 0, and at most 1.', p_run.fraction)
        when p_run.sizing = 'all_in' and p_run.fraction <> 1 then
            format('p_fraction is %L and p_sizing all_in, which takes all of it: fixed_fraction takes a part.', p_run.fraction)
        when (p_run.fill in ('next_open', 'next_close')) is not true then
            format('p_fill is %L: it is next_open or next_close.', p_run.fill)
        when (p_run.capital_limit > 0 and p_run.capital_limit <= 1000) is not true then
            format('p_capital_limit is %L: it must be above 0, and at most 1000.', p_run.capital_limit)
        when (p_run.vol_target > 0 and p_run.vol_target <= 1000) is not true then
            format('p_vol_target is %L: it must be above 0, and at most 1000.', p_run.vol_target)
        when (p_run.from_ts <= p_run.to_ts) is false then
            format('p_from is %s and p_to %s: the range ends before it begins.', p_run.from_ts, p_run.to_ts)
    end;
begin
    if v_wrong is not null then
        raise exception 'a run can''t have these settings'
            using errcode = 'TA605',
                  detail = v_wrong,
                  hint = 'docs/backtest.md has all settings; those that are left out have a default.';
    end if;
end
$$;

comment on function backtest._check_settings(backtest.runs) is
    'Private: an error that says which setting a run can''t have, and what it may be.';

create or replace function backtest._universe(
    p_signal signals.dim_signals,
    p_asset_ids integer[],
    p_known_at timestamptz
)
returns integer[]
language plpgsql
stable parallel unsafe
as $$
declare
    v_ids integer[];
begin
    if p_asset_ids is not null then
        v_ids := features._known_assets(p_asset_ids);
    elsif p_known_at is not null then
        v_ids := array(
            select c.id
            from bars.price_state as c
            where c.first_recorded_at <= p_known_at
            order by c.id
        );
    else
        v_ids := array(
            select s.id
            from signals.cmc_signal_state as s
            where s.signal_id = p_signal.signal_id
            order by s.id
        );
    end if;
    if v_ids = '{}' then
        raise exception 'there is no asset to trade % with', p_signal.signal_name
            using errcode = 'TA604',
                  detail = case
                      when p_asset_ids is not null then 'p_asset_ids is empty.'
                      when p_known_at is not null then format('No prices were known at %s.', p_known_at)
                      else 'It was not worked out for any asset yet.'
                  end,
                  hint = 'Load prices with `ta-lab2 ingest`, then call refresh_all().';
    end if;
    return v_ids;
end
$$;

comment on function backtest._universe(signals.dim_signals, integer[], timestamptz) is
    'Private: the assets of a run in order: those named, else all that have the signal or were known.';

create or replace function backtest.planned_runs(
    p_signals text[],
    p_asset_ids integer[],
    p_each_asset boolean,
    p_from timestamptz,
    p_to timestamptz,
    p_cost_model text,
    p_capital double precision,
    p_sizing text,
    p_fraction double precision,
    p_fill text,
    p_capital_limit double precision,
    p_known_at timestamptz,
    p_label text,
    p_vol_target double precision
)
returns setof backtest.runs
language plpgsql
volatile parallel unsafe
as $$
declare
    v_run    backtest.runs;
    v_costs  backtest.cost_models;
    v_signal signals.dim_signals;
    v_name   text;
    v_ids    integer[];
begin
    select c.*
    into v_costs
    from backtest.cost_models as c
    where c.cost_model = p_cost_model;
    if not found then
        perform backtest._refuse_name(
            'cost model', 'TA603', p_cost_model,
            array(select c.cost_model from backtest.cost_models as c order by c.cost_model), 'cost_models'
        );
    end if;
    v_run.label := p_label;
    v_run.from_ts := p_from;
    v_run.to_ts := p_to;
    v_run.known_at := p_known_at;
    v_run.cost_model := v_costs.cost_model;
    v_run.fee_bps := v_costs.fee_bps;
    v_run.slippage_bps := v_costs.slippage_bps;
    v_run.funding_bps := v_costs.funding_bps;
    v_run.capital := p_capital;
    v_run.sizing := p_sizing;
    v_run.fraction := p_fraction;
    v_run.vol_target := p_vol_target;
    v_run.fill := p_fill;
    v_run.capital_limit := p_capital_limit;
    perform backtest._check_settings(v_run);

    foreach v_name in array coalesce(
        p_signals,
        array(select s.signal_name from signals.dim_signals as s where s.is_active order by s.signal_id)
    )
    loop
        select s.*
        into v_signal
        from signals.dim_signals as s
        where s.signal_name = v_name;
        if not found then
            perform backtest._refuse_name(
                'signal', 'TA601', v_name,
                array(select s.signal_name from signals.dim_signals as s order by s.signal_id), 'dim_signals'
            );
        end if;
        v_run.signal_id := v_signal.signal_id;
        v_run.signal_name := v_signal.signal_name;
        v_run.signal_type := v_signal.signal_type;
        v_run.signal_version := v_signal.signal_version;
        v_run.params := v_signal.params;
        v_run.params_digest := signals._params_digest(v_signal.signal_type, v_signal.params);
        v_ids := backtest._universe(v_signal, p_asset_ids, p_known_at);
        for v_run.run_id, v_run.asset_ids, v_run.annualisation_days in
            select gen_random_uuid(), array_agg(a.id order by a.id), max(d.annualisation_days)
            from bars.dim_assets as a
            join timemodel.dim_sessions as d on d.session_id = a.session_id
            where a.id = any (v_ids)
            group by case when p_each_asset then a.id end
            order by min(a.id)
        loop
            return next v_run;
        end loop;
    end loop;
end
$$;

comment on function backtest.planned_runs(
    text[], integer[], boolean, timestamptz, timestamptz, text, double precision, text, double precision, text,
    double precision, timestamptz, text, double precision
) is
    'Runs of signals over all of their assets or each of them, as rows of backtest.runs without data and results.';
