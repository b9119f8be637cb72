-- features.record_progress(p_id, p_type, p_last_ts, p_state): keep how far a computation came, as void.
--
--     perform features.record_progress(1, 'returns', k.last_ts);
--
-- p_last_ts is what the kernel was given last, never max(ts) asked again: a candle that was
-- committed in between would be skipped for ever.
--
-- requires: functions/features/computations.sql, functions/features/fingerprint.sql

create or replace function features.record_progress(
    p_id integer,
    p_type text,
    p_last_ts timestamptz,
    p_state bytea default null
)
returns void
language sql
volatile parallel unsafe
as $$
insert into features.feature_state as s (
    id, feature_type, feature_name, last_processed_ts, state, fingerprint
)
select p_id, c.feature_type, c.feature_name, p_last_ts, p_state, features.fingerprint(c.kernel)
from features.computations() as c
where c.feature_type = p_type
on conflict (id, feature_type, feature_name) do update
set last_processed_ts = excluded.last_processed_ts,
    state = excluded.state,
    fingerprint = excluded.fingerprint
where (s.last_processed_ts, s.state, s.fingerprint)
    is distinct from (excluded.last_processed_ts, excluded.state, excluded.fingerprint)
$$;

comment on function features.record_progress(integer, text, timestamptz, bytea) is
    'Writes the last candle, the state and the fingerprint of one asset''s computation.';
