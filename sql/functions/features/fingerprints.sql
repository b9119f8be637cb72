-- features.fingerprints(): what the rows of every computation depend on beside their input, as a JSON object.
--
--     select features.fingerprints() ->> 'returns';
--
-- By feature type: the fingerprint of its kernel, and its configuration where it has one, such as the
-- periods of the EMAs with their slots, or the kernels of all kinds of indicators and what fills their gaps. Where it differs from the stored one all is worked out
-- anew, and what differs is written.
-- Worked out once for a whole refresh. A kernel that is replaced while it runs is compared again by
-- the next one, which finds the old fingerprint and works out anew what was done with it.
--
-- requires: functions/features/computations.sql, functions/features/fingerprint.sql

create or replace function features.fingerprints()
returns jsonb
language sql
stable parallel unsafe
as $$
select jsonb_object_agg(
    c.feature_type,
    concat_ws(
        ' ',
        features.fingerprint(c.kernel),
        case c.feature_type
            when 'ema' then (
                select string_agg(format('%s:%s', p.slot, p.period), ' ' order by p.slot)
                from features.dim_ema_periods as p
            )
            -- Not which indicators are active: one that comes leaves the others as they are.
            when 'indicators' then (
                select md5(string_agg(p.prosrc, '' order by p.proname)) || ' ' || f.null_policy
                from features.dim_features as f
                join pg_catalog.pg_proc as p
                    on p.pronamespace = 'indicators'::regnamespace
                    and (p.proname = 'arithmetic' or p.proname ~ '^_.*_kernel$')
                where f.feature_type = 'indicators'
                group by f.null_policy
            )
        end
    )
)
from features.computations() as c
$$;

comment on function features.fingerprints() is
    'Fingerprint of each computation''s kernel and its configuration, keyed by feature type.';
