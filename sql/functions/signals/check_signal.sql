-- signals.check_signal(): refuse a row of dim_signals that cannot be worked out, as a row trigger.
--
--     insert into dim_signals (signal_name, signal_type, params)
--     values ('ema_12_26_both', 'ema_crossover', '{"fast_period": 12, "slow_period": 26, "direction": "both"}');
--
-- What a signal reads has to be worked out by refresh_features: its EMAs are rows of dim_ema_periods, its RSI and ATR,
-- and the RSI of 14 where it has an rsi_threshold, active ones of dim_indicators; signals.refuse_input_loss
-- keeps them so. A signal that has been worked out keeps its type and parameters,
-- because its rows carry their digest: they change with a higher signal_version only, and then all of its
-- rows are made anew. It can be switched off and on, but not deleted.
--
-- requires: functions/signals/parameters.sql, functions/signals/refresh_type.sql

-- What entries and exits are decided by, of what somebody may take away.
create or replace function signals._reads(p_type text, p_params jsonb)
returns text[]
language sql
immutable parallel safe
as $$
select signals._own(p_type, p_params) || case when p_params ->> 'rsi_threshold' is not null then '{rsi_14}'::text[] end
$$;

comment on function signals._reads(text, jsonb) is
    'Private: the EMAs, and the columns of dim_indicators, that such a signal reads.';

create or replace function signals._require_inputs(p_type text, p_params jsonb)
returns void
language plpgsql
stable parallel safe
as $$
declare
    v_kind   text;
    v_period text;
begin
    select split_part(r.name, '_', 1), split_part(r.name, '_', 2)
    into v_kind, v_period
    from unnest(signals._reads(p_type, p_params)) with ordinality as r (name, place)
    where not exists (select from features.dim_ema_periods as p where r.name = 'ema_' || p.period)
      and not exists (select from features.dim_indicators as i where r.name = any (i.columns) and i.is_active)
    order by r.place
    limit 1;
    if v_kind = 'ema' then
        raise exception 'no EMA has the period %', v_period
            using errcode = 'TA507',
                  detail = format('The signal is %s %s.', p_type, p_params),
                  hint = format(
                      'insert into dim_ema_periods (period) values (%s), then refresh_features().', v_period
                  );
    elsif found then
        raise exception 'no % has the period %', upper(v_kind), v_period
            using errcode = 'TA508',
                  detail = format('The signal is %s %s.', p_type, p_params),
                  hint = format(
                      '`ta-lab2 indicators add %s period=%s`, or `activate` where it is switched off; then refresh_features().',
                      v_kind, v_period
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
