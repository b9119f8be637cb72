-- features.log_changed_rules(): let a rule that is new or other be looked for everywhere, as a row trigger.
--
--     update features.dim_finding_rules set threshold = 0.3 where rule = 'return_too_large';
--
-- The next refresh does it. The findings of a rule that is switched off go at once.

create or replace function features.log_changed_rules()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    if new is not distinct from old then
        return null;
    end if;
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select s.id, new.consumer, '-infinity', 'infinity'
    from bars.price_state as s;
    if not new.is_active then
        delete from features.findings as f
        where f.rule = new.rule;
    end if;
    return null;
end
$$;

comment on function features.log_changed_rules() is
    'After a rule came or changed: makes all of its table dirty for it, and ends what it found when it is switched off.';

create or replace trigger log_changed
    after insert or update on features.dim_finding_rules
    for each row execute function features.log_changed_rules();
