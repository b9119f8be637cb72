-- signals.check_signal(): refuse a row of dim_signals that cannot be worked out, as a row trigger.
--
--     insert into dim_signals (signal_name, signal_type, params)
--     values ('ema_12_26_both', 'ema_crossover', '{"fast_period": 12, "slow_period": 26, "direction": "both"}');
--
-- What a signal reads has to be worked out by refresh_features: its EMAs are rows of dim_ema_periods,
-- its RSI and ATR active ones of dim_indicators. A signal that has been worked out keeps its type and parameters,
-- because its rows carry their digest: they change with a higher signal_version only, and then all of its
-- rows are made anew. It can be switched off and on, but not deleted.
--
-- requires: functions/signals/parameters.sql

create or replace function signals._require_inputs(p_type text, p_params jsonb)
returns void
language plpgsql
stable parallel safe
as $$
declare
    v_period integer;
    v_kind   text := case p_type when 'rsi_mean_revert' then 'rsi' when 'atr_breakout' then 'atr' end;
begin
    if p_type = 'ema_crossover' then
        select (p_params ->> w.name)::numeric::integer
        into v_period
        from unnest('{fast_period,slow_period}'::text[]) as w (name)
        where not exists (
            select from features.dim_ema_periods as p where p.period = (p_params ->> w.name)::numeric
        )
        order by w.name
        limit 1;
        if found then
            raise exception 'no EMA has the period %', v_period
                using errcode = 'TA507',
                      detail = format('The signal is %s %s.', p_type, p_params),
                      hint = format(
                          'insert into dim_ema_periods (period) values (%s), then refresh_features().', v_period
                      );
        end if;
        return;
    end if;
    v_period := (p_params ->> (v_kind || '_period'))::numeric::integer;
    if not exists (
        select
        from features.dim_indicators as i
        where i.kind = v_kind
          and (i.params ->> 'period')::numeric = v_period
          and i.is_active
    ) then
        raise exception 'no % has the period %', upper(v_kind), v_period
            using errcode = 'TA508',
                  detail = format('The signal is %s %s.', p_type, p_params),
                  hint = format(
                      '`ta-lab2 indicators add %s period=%s`, then refresh_features().', v_kind, v_period
                  );
    end if;
end
$$;

comment on function signals._require_inputs(text, jsonb) is
    'Private: an error when no refresh works out what such a signal reads.';

create or replace function signals.check_signal()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_has_rows boolean := lower(tg_op) <> 'insert' and exists (
        select
        from signals.cmc_signal_segments as s
        where s.signal_id = old.signal_id
    );
begin
    if v_has_rows and lower(tg_op) = 'delete' then
        raise exception 'the signal % has rows and can''t be deleted', old.signal_name
            using errcode = 'TA509',
                  detail = 'Its entries and exits, and the backtests of them, refer to it.',
                  hint = format(
                      'update dim_signals set is_active = false where signal_id = %s stops it.', old.signal_id
                  );
    end if;
    if lower(tg_op) = 'delete' then
        delete from signals.cmc_signal_state as s
        where s.signal_id = old.signal_id;
        return old;
    end if;
    if v_has_rows
        and (
            new.signal_id <> old.signal_id
            or new.signal_type <> old.signal_type
            or new.signal_version < old.signal_version
            or (new.params <> old.params and new.signal_version = old.signal_version)
        )
    then
        raise exception 'the signal % has rows and can''t be changed', old.signal_name
            using errcode = 'TA510',
                  detail = format(
                      'It is %s %s, version %s; its rows carry that.',
                      old.signal_type, old.params, old.signal_version
                  ),
                  hint = format(
                      'Insert a row of another name, or set signal_version to %s with the parameters: all of its rows are made anew.',
                      old.signal_version + 1
                  );
    end if;
    new.params := signals.parameters(new.signal_type, new.params);
    if new.is_active then
        perform signals._require_inputs(new.signal_type, new.params);
    end if;
    return new;
end
$$;

comment on function signals.check_signal() is
    'Before a row of dim_signals is written: its parameters and what it reads checked; one with rows keeps what they carry.';

create or replace trigger check_signal
    before insert or update or delete on signals.dim_signals
    for each row execute function signals.check_signal();
