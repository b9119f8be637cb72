-- regimes.refuse_period_loss(): keep the EMA periods that a layer of the regimes reads, as a row trigger.
--
--     delete from features.dim_ema_periods where period = 50;   -- refused while a layer names it
--
-- As regimes.refuse_unknown_period, from the other side. The lock waits for layers that are being written.

create or replace function regimes.refuse_period_loss()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_layers text;
begin
    lock table regimes.dim_regime_layers in share row exclusive mode;
    select string_agg(l.layer, ', ' order by l.layer)
    into v_layers
    from regimes.dim_regime_layers as l
    where old.period in (l.ema_fast, l.ema_mid, l.ema_slow);
    if v_layers is not null then
        raise exception 'ema_% is read by the regimes of layer %', old.period, v_layers
            using errcode = 'TAR04',
                  detail = 'Without it their trend would be Unknown for ever.',
                  hint = 'Give the layer another period first: update dim_regime_layers set ema_fast, ema_mid or ema_slow.';
    end if;
    if lower(tg_op) = 'delete' then
        return old;
    end if;
    return new;
end
$$;

comment on function regimes.refuse_period_loss() is
    'Before an EMA period goes or becomes another: an error that names the layers of the regimes which read it.';

create or replace trigger refuse_period_loss_deleted
    before delete on features.dim_ema_periods
    for each row execute function regimes.refuse_period_loss();

create or replace trigger refuse_period_loss_updated
    before update on features.dim_ema_periods
    for each row
    when (new.period <> old.period)
    execute function regimes.refuse_period_loss();
