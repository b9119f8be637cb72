-- bars.refuse_timeframe_loss(): keep a timeframe that has bars, as a row trigger.
--
--     delete from timemodel.dim_timeframe as t where t.tf = '5D';   -- refused
--
-- In the place of a foreign key, which is checked for each of the forty thousand bars of an asset.
-- The lock waits for the refreshes that may be building it.

create or replace function bars.refuse_timeframe_loss()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    lock table only bars.cmc_price_bars_multi_tf in share row exclusive mode;
    if exists (
        select
        from bars.dim_assets as a
        where exists (
            select
            from bars.cmc_price_bars_multi_tf as b
            where b.id = a.id
              and b.tf_id = old.tf_id
        )
    ) then
        raise exception 'the timeframe % has bars', old.tf
            using errcode = 'TA234',
                  detail = 'They would be of a timeframe that nothing describes.',
                  hint = 'Set is_active = false: it is no longer computed and keeps its bars.';
    end if;
    return old;
end
$$;

comment on function bars.refuse_timeframe_loss() is
    'Before a timeframe is deleted: refuses while an asset has bars of it.';

create or replace trigger refuse_loss
    before delete on timemodel.dim_timeframe
    for each row execute function bars.refuse_timeframe_loss();
