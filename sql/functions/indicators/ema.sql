-- indicators.ema(x, period): exponential moving average, as a window aggregate or of an array as an array.
--
--     select p.ts, indicators.ema(p.close, 21) over (partition by p.id order by p.ts)
--     from cmc_price_histories7 as p;
--
--     select indicators.ema(array_agg(p.close order by p.ts), 21)
--     from cmc_price_histories7 as p where p.id = 1;
--
-- TA-Lib's, and to the bit what cmc_ema_multi_tf stores: the mean of the first `period` values, then
-- 2 / (period + 1) of the way to each new one. Null before there are `period` values. Nulls are
-- stepped over: in an array they give null, in a window they repeat the last average. The window
-- aggregate has no default period, and gives the bits that the array does.
--
-- requires: functions/indicators/arithmetic.sql
-- needs: plpython3u

create or replace function indicators._ema_kernel()
returns void
language plpython3u
stable parallel safe
as $$
if "made" in SD:
    return


def run(candles, params, state):
    arithmetic = GD["arithmetic"]
    (ema,) = arithmetic.parted(state, 1)
    found, ema = arithmetic.ema(candles.close, params["period"], ema)
    return {"ema": found}, arithmetic.joined(ema)


GD.setdefault("indicators", {})["ema"] = run
SD["made"] = True
$$;

comment on function indicators._ema_kernel() is
    'Private: puts the kernel of the exponential moving average into GD.';

create or replace function indicators.ema(x double precision[], period integer default 30)
returns double precision[]
language plpython3u
immutable parallel safe
as $$
plpy.execute("select indicators.arithmetic(), indicators._ema_kernel()")
found = GD["arithmetic"].adhoc("ema", {"period": period}, close=x)
return found and found[0]
$$;

comment on function indicators.ema(double precision[], integer) is
    'Exponential moving average, weight 2/(period+1), seeded with the mean of the first period values; null before them.';

create or replace function indicators._ema_step(
    p_state double precision[],
    p_x double precision,
    p_period integer
)
returns double precision[]
language plpgsql
immutable parallel safe
as $$
declare
    -- How many values the first average lacks, their sum or the last average, and the period.
    v_missing double precision := p_state[1];
    v_last    double precision := p_state[2];
begin
    if p_state is null then
        perform indicators.parameters('ema', jsonb_build_object('period', p_period));
        v_missing := p_period;
        v_last := 0;
    elsif p_period is distinct from p_state[3] then
        raise exception 'the period of ema changes within a window'
            using errcode = 'TA307',
                  detail = format('It is %s after %s.', coalesce(p_period::text, 'null'), p_state[3]),
                  hint = 'Give one number, or put the period into partition by.';
    end if;
    if p_x is null or p_x in ('NaN', 'Infinity', '-Infinity') then
        return array[v_missing, v_last, p_period];
    end if;
    if v_missing = 0 then
        v_last := (p_x - v_last) * (2::double precision / (p_period + 1)) + v_last;
    else
        v_missing := v_missing - 1;
        v_last := v_last + p_x;
        if v_missing = 0 then
            v_last := v_last / p_period;
        end if;
    end if;
    return array[v_missing, v_last, p_period];
end
$$;

comment on function indicators._ema_step(double precision[], double precision, integer) is
    'Private: one step of the window aggregate indicators.ema.';

create or replace function indicators._ema_value(p_state double precision[])
returns double precision
language plpgsql
immutable parallel safe
as $$
begin
    return case when p_state[1] = 0 then p_state[2] end;
end
$$;

comment on function indicators._ema_value(double precision[]) is
    'Private: what the window aggregate indicators.ema stands at.';

create or replace aggregate indicators.ema(x double precision, period integer) (
    sfunc = indicators._ema_step,
    stype = double precision[],
    finalfunc = indicators._ema_value,
    parallel = safe
);

comment on aggregate indicators.ema(double precision, integer) is
    'Exponential moving average over the window, weight 2/(period+1), seeded with the mean of the first period values.';
