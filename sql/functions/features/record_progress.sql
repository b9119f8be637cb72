-- features.record_progress(p_ids, p_type, p_name, p_fingerprint, p_last_ts, p_states): keep how far a computation came, as void.
--
--     perform features.record_progress('{1}', 'returns', 'cmc_returns_daily', v_fingerprint, k.last_ts, '{null}');
--
-- p_last_ts has for each asset what the kernel was given last, never max(ts) asked again: a candle that
-- was committed in between would be skipped for ever.

create or replace function features.record_progress(
    p_ids integer[],
    p_type text,
    p_name text,
    p_fingerprint text,
    p_last_ts timestamptz[],
    p_states bytea[]
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into features.feature_state as s (
        id, feature_type, feature_name, last_processed_ts, state, fingerprint
    )
    select a.id, p_type, p_name, a.last_ts, a.state, p_fingerprint
    from unnest(p_ids, p_last_ts, p_states) as a (id, last_ts, state)
    on conflict (id, feature_type, feature_name) do update
    set last_processed_ts = excluded.last_processed_ts,
        state = excluded.state,
        fingerprint = excluded.fingerprint
    where (s.last_processed_ts, s.state, s.fingerprint)
        is distinct from (excluded.last_processed_ts, excluded.state, excluded.fingerprint);
end
$$;

comment on function features.record_progress(integer[], text, text, text, timestamptz[], bytea[]) is
    'Writes the last candle, the state and the fingerprint of a computation for each of the assets.';
