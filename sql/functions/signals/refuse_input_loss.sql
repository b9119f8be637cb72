-- signals.refuse_input_loss(): keep the EMA periods and indicators that active signals read, as a row trigger.
--
--     update dim_indicators set is_active = false where columns[1] = 'rsi_14';   -- refused while rsi_30_70_mr is active
--
-- Such a signal would find no entry and no exit any more, and its open positions would stay open. The lock waits for
-- signals that are on their way in, and keeps others out until this is over.
--
-- requires: functions/signals/check_signal.sql

create or replace function signals.refuse_input_loss()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    -- As an object: each of the two tables has one of these alone.
    v_old     jsonb := to_jsonb(old);
    v_lost    text[] := case tg_table_name
        when 'dim_ema_periods' then array['ema_' || (v_old ->> 'period')]
        else array(select c.name from jsonb_array_elements_text(v_old -> 'columns') as c (name))
    end;
    v_readers text[];
begin
    lock table signals.dim_signals in share row exclusive mode;
    select array_agg(d.signal_name order by d.signal_id)
    into v_readers
    from signals.dim_signals as d
    where d.is_active
      and signals._reads(d.signal_type, d.params) && v_lost;
    if v_readers is not null then
        raise exception '% is read by the signal %', v_lost[1], array_to_string(v_readers, ', ')
            using errcode = 'TA512',
                  detail = 'Without it they would have no entry and no exit any more.',
                  hint = format(
                      'Stop them first: update dim_signals set is_active = false where signal_name in (%s).',
                      (select string_agg(quote_literal(r.name), ', ' order by r.place)
                       from unnest(v_readers) with ordinality as r (name, place))
                  );
    end if;
    if lower(tg_op) = 'delete' then
        return old;
    end if;
    return new;
end
$$;

comment on function signals.refuse_input_loss() is
    'Before an EMA period or an indicator goes or is switched off: an error that names the active signals which read it.';

create or replace trigger refuse_input_loss_deleted
    before delete on features.dim_ema_periods
    for each row execute function signals.refuse_input_loss();

create or replace trigger refuse_input_loss_updated
    before update on features.dim_ema_periods
    for each row
    when (new.period <> old.period)
    execute function signals.refuse_input_loss();

create or replace trigger refuse_input_loss_deleted
    before delete on features.dim_indicators
    for each row
    when (old.is_active)
    execute function signals.refuse_input_loss();

create or replace trigger refuse_input_loss_updated
    before update on features.dim_indicators
    for each row
    when (old.is_active and (not new.is_active or new.columns <> old.columns))
    execute function signals.refuse_input_loss();
