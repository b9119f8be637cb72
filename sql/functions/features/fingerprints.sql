-- features.fingerprints(): what the rows of every computation depend on beside their input, as a JSON object.
--
--     select features.fingerprints() ->> 'returns';
--
-- By feature type: the fingerprint of its kernel, and its configuration where it has one, such as the
-- periods of the EMAs with their slots. Where it differs from the stored one all is worked out
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
        end
    )
)
from features.computations() as c
$$;

comment on function features.fingerprints() is
    'Fingerprint of each computation''s kernel and its configuration, keyed by feature type.';
