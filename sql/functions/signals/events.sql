-- signals.events(p_id, p_signal_id, p_known_at): entries and exits of one signal of one asset, as rows of cmc_signals.
--
--     select e.ts, e.position_state, e.direction, e.pnl_pct from signals.events(1, 6) as e;
--     select e.* from signals.events(1, 6, '2024-06-02 06:00+00') as e;   -- as they were known then
--
-- What is stored, with null; else what a refresh at that moment stored, to the bit, worked out and not stored.
-- In the order of time, an exit before an entry of the same bar.
--
-- requires: functions/signals/as_known.sql, functions/features/unpacked.sql

create or replace function signals.events(
    p_id integer,
    p_signal_id integer,
    p_known_at timestamptz default null
)
returns setof signals.cmc_signals
language plpgsql
stable parallel unsafe
as $$
declare
    v_known record;
begin
    if p_known_at is null then
        perform signals._known_signal(p_signal_id);
        return query
        select s.*
        from signals.cmc_signals as s
        where s.id = p_id
          and s.signal_id = p_signal_id
        order by s.ts, s.position_state;
        return;
    end if;
    select k.* into v_known from signals.as_known(p_id, p_signal_id, p_known_at) as k;
    return query execute format(
        $query$
        select
            $1, e.id, e.signal_id, e.ts, e.position_state, e.direction, e.entry_ts, e.entry_price,
            e.exit_ts, e.exit_price, e.pnl_pct, e.available_at, e.feature_snapshot, e.signal_version,
            left(encode(e.feature_digest, 'hex'), 16), e.feature_digest,
            left(encode(e.params_digest, 'hex'), 16), e.params_digest, %2$s
        from (select (u.row::%1$s).* from features.unpacked(%1$L, $2) as u (row)) as e
        order by e.ts, e.position_state
        $query$,
        'signals.cmc_signals_' || v_known.signal_type,
        case v_known.signal_type when 'atr_breakout' then 'e.breakout_type' else 'null::text' end
    )
    using v_known.signal_type, v_known.packed;
end
$$;

comment on function signals.events(integer, integer, timestamptz) is
    'Entries and exits of a signal of an asset, as they are stored or as they were known at a moment.';

grant execute on function signals.events(integer, integer, timestamptz) to ta_lab2_research;
grant execute on function features.unpacked(regclass, bytea) to ta_lab2_research;
