-- bars.refuse_to_redefine(): keep the clock of a session whose assets have candles, as a row trigger.
--
--     update timemodel.dim_sessions set is_24_7 = true where session_id = 'EQUITY';   -- TA235 if they have
--
-- The candles are stamped with the ends of its days: by another clock they would belong to no day.

create or replace function bars.refuse_to_redefine()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_assets bigint;
begin
    -- No load is on its way, as it takes the same lock.
    lock table bars.dim_assets in share row exclusive mode;
    select count(*)
    into v_assets
    from bars.dim_assets as a
    where a.session_id = old.session_id
      and exists (select from bars.cmc_price_histories7 as p where p.id = a.id);
    if v_assets > 0 then
        raise exception 'the session % has assets with candles and keeps its clock', old.session_id
            using errcode = 'TA235',
                  detail = format('%s of them; their stamps are the ends of its days as they are now.', v_assets),
                  hint = 'Insert another session, or take the candles out first: `ta-lab2 assets delete ID`.';
    end if;
    return new;
end
$$;

comment on function bars.refuse_to_redefine() is
    'Before a session gets another time zone, or opens always or no more: refuses it while assets have candles.';

create or replace trigger refuse_to_redefine
    before update of is_24_7, timezone on timemodel.dim_sessions
    for each row
    when (old.is_24_7 <> new.is_24_7 or old.timezone <> new.timezone)
    execute function bars.refuse_to_redefine();
