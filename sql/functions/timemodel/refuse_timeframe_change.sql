-- timemodel.refuse_timeframe_change(): keep what a timeframe means, as a row trigger.
--
--     update timemodel.dim_timeframe as t set tf_qty = 6 where t.tf = '5D';   -- refused
--
-- Bars and their features hold its number: another meaning would make them lie. Its label, its
-- place, whether it is canonical and whether it is active may change.

create or replace function timemodel.refuse_timeframe_change()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    raise exception 'what the timeframe % means cannot be changed', old.tf
        using errcode = 'TA107',
              detail = 'Bars that are stored would be of another timeframe than they say.',
              hint = 'Insert a row for the new meaning; set is_active = false on one that is not wanted.';
end
$$;

comment on function timemodel.refuse_timeframe_change() is
    'Before an update of a timeframe: refuses another meaning.';

create or replace trigger refuse_change
    before update on timemodel.dim_timeframe
    for each row
    when (
        (
            old.tf_id, old.tf, old.alignment, old.base_unit, old.tf_qty, old.anchor, old.calendar_scheme,
            old.tf_days, old.tf_days_min, old.tf_days_max, old.allow_partial_start, old.allow_partial_end
        ) is distinct from (
            new.tf_id, new.tf, new.alignment, new.base_unit, new.tf_qty, new.anchor, new.calendar_scheme,
            new.tf_days, new.tf_days_min, new.tf_days_max, new.allow_partial_start, new.allow_partial_end
        )
    )
    execute function timemodel.refuse_timeframe_change();
