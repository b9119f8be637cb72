-- features.fingerprints(): the arithmetic of every computation, by feature type, as a JSON object.
--
--     select features.fingerprints() ->> 'returns';
--
-- Worked out once for a whole refresh. A kernel that is replaced while it runs is compared again by
-- the next one, which finds the old fingerprint and works out anew what was done with it.
--
-- requires: functions/features/computations.sql, functions/features/fingerprint.sql

create or replace function features.fingerprints()
returns jsonb
language sql
stable parallel unsafe
as $$
select jsonb_object_agg(c.feature_type, features.fingerprint(c.kernel))
from features.computations() as c
$$;

comment on function features.fingerprints() is
    'Fingerprint of each computation''s kernel, keyed by feature type.';
