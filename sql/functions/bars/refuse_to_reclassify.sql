-- bars.refuse_to_reclassify(): keep the session of an asset that has candles, as a row trigger.
--
--     update bars.dim_assets set session_id = 'EQUITY' where id = 1;   -- TA212 if it has candles
--
-- The candles are stamped with the ends of that session's days: with another one they would
-- belong to no day.

create or replace function bars.refuse_to_reclassify()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    if exists (select from bars.cmc_price_histories7 as p where p.id = old.id) then
        raise exception 'asset % is of session % and has candles', old.id, old.session_id
            using errcode = 'TA212',
                  detail = format('Their stamps are the ends of its sessions, not of those of %s.', new.session_id),
                  hint = format(
                      '`ta-lab2 assets delete %s`, then `ta-lab2 assets session %s %s`, then load its files again.',
                      old.id, old.id, new.session_id
                  );
    end if;
    return new;
end
$$;

comment on function bars.refuse_to_reclassify() is
    'Before an asset gets another session: refuses it while the asset has candles.';

create or replace trigger refuse_to_reclassify
    before update of session_id on bars.dim_assets
    for each row
    when (old.session_id <> new.session_id)
    execute function bars.refuse_to_reclassify();
