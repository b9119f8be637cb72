-- features.record_failure(p_id, p_sqlstate, p_message, p_verb): keep why an asset's refresh failed, as void.
--
--     perform features.record_failure(v_id, sqlstate, sqlerrm);

create or replace function features.record_failure(
    p_id integer,
    p_sqlstate text,
    p_message text,
    p_verb text default 'refresh_features'
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    update features.refresh_state as s
    set failed_at = clock_timestamp(),
        last_error = format('%s: %s', p_sqlstate, p_message)
    where s.id = p_id
      and s.verb = p_verb;
end
$$;

comment on function features.record_failure(integer, text, text, text) is
    'Writes the error of a failed refresh into the asset''s refresh_state.';
