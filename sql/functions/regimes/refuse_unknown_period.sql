-- regimes.refuse_unknown_period(): keep a layer from naming an EMA that nobody computes, as a trigger.
--
--     update regimes.dim_regime_layers set ema_slow = 33 where layer = 'L2';  -- refused
--
-- Its labels would be Unknown for ever.

create or replace function regimes.refuse_unknown_period()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_period integer;
begin
    select w.period
    into v_period
    from unnest(array[new.ema_fast, new.ema_mid, new.ema_slow]) as w (period)
    where not exists (select from features.dim_ema_periods as p where p.period = w.period)
    order by w.period
    limit 1;
    if found then
        raise exception 'no EMA has the period %', v_period
            using errcode = 'TAR01',
                  detail = format(
                      'Layer %s asks for %s, %s and %s.',
                      new.layer, new.ema_fast, new.ema_mid, new.ema_slow
                  ),
                  hint = format(
                      'insert into dim_ema_periods (period) values (%s), then refresh_features().',
                      v_period
                  );
    end if;
    return new;
end
$$;

comment on function regimes.refuse_unknown_period() is
    'Before a layer is written: an error when one of its EMAs is not in dim_ema_periods.';

create or replace trigger refuse_unknown_period
    before insert or update on regimes.dim_regime_layers
    for each row execute function regimes.refuse_unknown_period();
