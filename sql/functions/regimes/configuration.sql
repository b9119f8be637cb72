-- regimes.configuration(): what the labels depend on beside their kernel and their input, as text.
--
--     select regimes.configuration();
--
-- The numbers of dim_regime_layers, and digests of the routines that the kernel takes the ATR and the
-- ADX from. It is part of the regimes' fingerprint: where it changes every asset is due.
--
-- requires: functions/indicators/arithmetic.sql, functions/indicators/atr.sql
-- requires: functions/indicators/adx.sql

create or replace function regimes.configuration()
returns text
language sql
stable parallel safe
as $$
select concat_ws(
    ' ',
    (select string_agg(l::text, ' ' order by l.layer) from regimes.dim_regime_layers as l),
    (
        select string_agg(md5(p.prosrc), ' ' order by r.place)
        from unnest(
            '{indicators.arithmetic,indicators._atr_kernel,indicators._adx_kernel}'::regproc[]
        ) with ordinality as r (routine, place)
        join pg_catalog.pg_proc as p on p.oid = r.routine
    )
)
$$;

comment on function regimes.configuration() is
    'Rows of dim_regime_layers and digests of the indicators'' texts: the configuration part of the fingerprint.';
