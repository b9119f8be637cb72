-- signals.configuration(): what entries and exits depend on beside their kernel, their input and their own row, as text.
--
--     select signals.configuration();
--
-- What regimes allow, and digests of the routines that read the input. It is part of the signals' fingerprint:
-- where it changes every asset is due. The rows of dim_signals are not: another one leaves the others alone.
--
-- requires: functions/signals/inputs.sql, functions/regimes/policy.sql

create or replace function signals.configuration()
returns text
language sql
stable parallel safe
as $$
select concat_ws(
    ' ',
    (
        select string_agg(p::text, ' ' order by p.trend, p.volatility, p.liquidity)
        from regimes.dim_regime_policies as p
    ),
    (
        select string_agg(md5(p.prosrc), ' ' order by r.place)
        from unnest('{signals.inputs,signals._source,regimes.policy}'::regproc[])
            with ordinality as r (routine, place)
        join pg_catalog.pg_proc as p on p.oid = r.routine
    )
)
$$;

comment on function signals.configuration() is
    'Rows of dim_regime_policies and digests of what reads the input: the configuration part of the fingerprint.';
