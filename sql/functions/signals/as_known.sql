-- signals.as_known(p_id, p_signal_id, p_known_at): what a signal would have been of an asset at a moment, packed, as the kernel gives it.
--
--     select k.segment_years, k.segment_digests from signals.as_known(1, 6, '2024-06-02 06:00+00') as k;
--
-- Worked out from what was known of the candles then, with the kernel of a refresh and without storing: the same
-- bits as a refresh at that moment, with today's parameters and policies, whether the signal is active or
-- not. signals.events and signals.segments read the rows out of it; who needs both asks here.
--
-- requires: functions/signals/inputs.sql, functions/signals/signals_kernel.sql
-- requires: functions/signals/refresh_type.sql

create or replace function signals._known_signal(p_signal_id integer)
returns signals.dim_signals
language plpgsql
stable parallel safe
as $$
declare
    v_signal signals.dim_signals;
begin
    select d.* into v_signal from signals.dim_signals as d where d.signal_id = p_signal_id;
    if not found then
        raise exception 'no signal has the id %', coalesce(p_signal_id::text, 'null')
            using errcode = 'TA511',
                  detail = format(
                      'There are %s.',
                      (select string_agg(d.signal_id || ' ' || d.signal_name, ', ' order by d.signal_id) from signals.dim_signals as d)
                  ),
                  hint = 'select * from dim_signals lists them.';
    end if;
    return v_signal;
end
$$;

comment on function signals._known_signal(integer) is
    'Private: the row of a signal; an error when there is none.';

create or replace function signals.as_known(
    p_id integer,
    p_signal_id integer,
    p_known_at timestamptz,
    out signal_type text,
    out packed bytea,
    out segment_years integer[],
    out segment_counts integer[],
    out segment_last_ts timestamptz[],
    out segment_digests bytea[]
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_signal signals.dim_signals := signals._known_signal(p_signal_id);
    v_own    text[] := signals._own(v_signal.signal_type, v_signal.params);
    v_setups boolean := coalesce((v_signal.params ->> 'use_regime')::boolean, false);
begin
    signal_type := v_signal.signal_type;
    select k.packed, k.segment_years, k.segment_counts, k.segment_last_ts, k.segment_digests
    into packed, segment_years, segment_counts, segment_last_ts, segment_digests
    from signals.inputs(array[p_id], '{-infinity}', 1, v_own, v_setups, p_known_at) as i
    cross join lateral signals.signals_kernel(
        v_signal.signal_type,
        jsonb_build_array(
            jsonb_build_object(
                'asset', 0, 'id', p_id, 'signal_id', p_signal_id, 'version', v_signal.signal_version,
                'params', v_signal.params,
                'digest', encode(signals._params_digest(v_signal.signal_type, v_signal.params), 'hex'),
                'own', (select jsonb_agg(o.place - 1 order by o.place) from unnest(v_own) with ordinality as o (name, place)),
                'from', null, 'open', '[]'::jsonb, 'last_exit', null
            )
        ),
        array[i.ts], array[i.available_at], array[i.open], array[i.high], array[i.low], array[i.close],
        array[i.rsi_14], array[i.atr_14], array[i.parkinson_20],
        case when v_setups then array[i.setups] end, array[i.own], null
    ) as k;
end
$$;

comment on function signals.as_known(integer, integer, timestamptz) is
    'Entries and exits, packed, and segments of one signal of one asset, from what was known at a moment.';

grant execute on function signals._known_signal(integer), signals.as_known(integer, integer, timestamptz),
    signals._own(text, jsonb), signals._params_digest(text, jsonb) to ta_lab2_research;
