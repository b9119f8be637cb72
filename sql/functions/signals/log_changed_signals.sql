-- signals.log_changed_signals(): wake the signals of a type when one of them came, was switched on or got another version, as a row trigger.
--
--     update dim_signals set is_active = true where signal_name = 'rsi_30_70_mr';
--
-- No bar changed, so the range is the end of time: a refresh finds that the assets are due, and works
-- out the signals that have no state. The state of one that was switched off knows nothing of what
-- happened meanwhile, so it goes. Other signals are left alone.

create or replace function signals.log_changed_signals()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    delete from signals.cmc_signal_state as s
    where s.signal_id = new.signal_id;
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select a.id, 'signals_' || new.signal_type, 'infinity', 'infinity'
    from bars.dim_assets as a;
    return null;
end
$$;

comment on function signals.log_changed_signals() is
    'After a signal came or changed: it starts over, and every asset is due for its type.';

create or replace trigger log_inserted
    after insert on signals.dim_signals
    for each row
    when (new.is_active)
    execute function signals.log_changed_signals();

create or replace trigger log_updated
    after update on signals.dim_signals
    for each row
    when (
        new.is_active
        and (old.is_active, old.signal_type, old.params, old.signal_version)
            is distinct from (new.is_active, new.signal_type, new.params, new.signal_version)
    )
    execute function signals.log_changed_signals();
