-- signals.refresh_type(p_type, p_ids, p_froms): bring the signals of a type up to date for assets, as what it did for each.
--
--     select d.* from signals.refresh_type('ema_crossover', '{1,1027}', '{-infinity,2024-01-01}') as d;
--
-- What a step of refresh_signals does. A signal with a state begins with the calendar year of p_froms: its digest does.
-- The positions that were open when that year began are those that were closed since and those
-- that still are open: what happened before stands. A signal without a state is worked out whole, and
-- one that has one and no bar to work out (p_froms is infinity) is left alone.
--
-- requires: functions/signals/inputs.sql, functions/signals/signals_kernel.sql
-- requires: functions/features/copy_in.sql

-- What a signal reads of its own, in the kernel's order.
create or replace function signals._own(p_type text, p_params jsonb)
returns text[]
language sql
immutable parallel safe
as $$
select case p_type
    when 'ema_crossover' then array[
        'ema_' || (p_params ->> 'fast_period')::numeric::integer,
        'ema_' || (p_params ->> 'slow_period')::numeric::integer
    ]
    when 'rsi_mean_revert' then array['rsi_' || (p_params ->> 'rsi_period')::numeric::integer]
    when 'atr_breakout' then array['atr_' || (p_params ->> 'atr_period')::numeric::integer]
end
$$;

comment on function signals._own(text, jsonb) is
    'Private: the names of the features that signals of this type and these parameters read of their own.';

create or replace function signals._microseconds(p_ts timestamptz)
returns bigint
language sql
immutable parallel safe
as $$
select (extract(epoch from p_ts) * 1000000)::bigint - 946684800000000
$$;

comment on function signals._microseconds(timestamptz) is
    'Private: a moment as microseconds since 2000, as it is stored.';

create or replace function signals._params_digest(p_type text, p_params jsonb)
returns bytea
language sql
immutable parallel safe
as $$
select sha256(convert_to(p_type || ' ' || p_params, 'UTF8'))
$$;

comment on function signals._params_digest(text, jsonb) is
    'Private: SHA-256 of a signal''s type and parameters, as jsonb writes them.';

-- One statement for a set, with the table's name in it: what the kernel has to be told of each signal.
create or replace function signals._due(p_type text, p_ids integer[], p_froms timestamptz[])
returns table (
    pairs jsonb,
    own text[],
    with_setups boolean,
    bars integer,
    froms timestamptz[],
    ids integer[],
    signal_ids integer[],
    pair_froms timestamptz[],
    stored bytea[]
)
language plpgsql
stable parallel unsafe
as $$
begin
    execute format(
        $query$
        with pair as materialized (
            select
                a.id,
                a.place,
                d.signal_id,
                d.params,
                d.signal_version,
                signals._own($1, d.params) as own,
                s.open_entries,
                s.last_exit_ts,
                case when s.id is null then '-infinity' else date_trunc('year', a.from_ts, 'UTC') end as from_ts
            from unnest($2, $3) with ordinality as a (id, from_ts, place)
            join signals.dim_signals as d on d.signal_type = $1 and d.is_active
            left join signals.cmc_signal_state as s
                on s.id = a.id
                and s.signal_type = $1
                and s.signal_id = d.signal_id
            where s.id is null
               or a.from_ts < 'infinity'
        ),

        name as (
            select array_agg(distinct n.name order by n.name) as names
            from pair as p
            cross join unnest(p.own) as n (name)
        ),

        carried as (
            select
                p.id,
                p.signal_id,
                jsonb_agg(
                    jsonb_build_object(
                        'ts', signals._microseconds(e.ts), 'direction', e.direction, 'price', e.entry_price,
                        'snapshot', e.feature_snapshot::text, 'breakout', %2$s
                    )
                    order by e.ts
                ) as positions
            from pair as p
            cross join lateral (
                select o.ts
                from unnest(p.open_entries) as o (ts)
                union
                select c.entry_ts
                from %1$s as c
                where c.id = p.id
                  and c.signal_id = p.signal_id
                  and c.position_state = 'closed'
                  and c.ts >= p.from_ts
            ) as w
            join %1$s as e
                on e.id = p.id
                and e.signal_id = p.signal_id
                and e.ts = w.ts
                and e.position_state = 'open'
            where w.ts < p.from_ts
            group by p.id, p.signal_id
        ),

        told as (
            select
                p.*,
                coalesce(c.positions, '[]') as positions,
                case
                    when p.from_ts = '-infinity' then null
                    when p.last_exit_ts >= p.from_ts then (
                        select e.ts
                        from %1$s as e
                        where e.id = p.id
                          and e.signal_id = p.signal_id
                          and e.ts < p.from_ts
                          and e.position_state = 'closed'
                        order by e.ts desc
                        limit 1
                    )
                    else p.last_exit_ts
                end as before_ts
            from pair as p
            left join carried as c on c.id = p.id and c.signal_id = p.signal_id
        )

        select
            jsonb_agg(
                jsonb_build_object(
                    'asset', t.place - 1, 'id', t.id, 'signal_id', t.signal_id, 'version', t.signal_version,
                    'params', t.params, 'digest', encode(signals._params_digest($1, t.params), 'hex'),
                    'own', (select jsonb_agg(array_position(n.names, o.name) - 1 order by o.place)
                            from unnest(t.own) with ordinality as o (name, place)),
                    'from', case when t.from_ts > '-infinity' then signals._microseconds(t.from_ts) end,
                    'open', t.positions,
                    'last_exit', signals._microseconds(t.before_ts)
                )
                order by t.place, t.signal_id
            ),
            (select n.names from name as n),
            bool_or((t.params ->> 'use_regime')::boolean),
            max(
                greatest(
                    coalesce((t.params ->> 'channel_period')::numeric, 0),
                    coalesce((t.params ->> 'cooldown_bars')::numeric, 0)
                )
            )::integer + 1,
            array(
                select coalesce(min(p.from_ts), 'infinity')
                from unnest($2) with ordinality as a (id, place)
                left join pair as p on p.id = a.id
                group by a.place
                order by a.place
            ),
            array_agg(t.id order by t.place, t.signal_id),
            array_agg(t.signal_id order by t.place, t.signal_id),
            array_agg(t.from_ts order by t.place, t.signal_id),
            (
                select array_agg(r.record)
                from pair as p
                cross join lateral (
                    select record_send(o) as record
                    from (
                        select
                            e.id, e.signal_id, e.ts, e.position_state, e.direction, e.entry_ts, e.entry_price,
                            e.exit_ts, e.exit_price, e.pnl_pct, e.available_at, e.feature_snapshot,
                            e.signal_version, e.feature_digest, e.params_digest%3$s
                        from %1$s as e
                        where e.id = p.id
                          and e.signal_id = p.signal_id
                          and e.ts >= p.from_ts
                    ) as o
                ) as r
            )
        from told as t
        cross join name as n
        $query$,
        format('signals.cmc_signals_%s', p_type),
        case p_type when 'atr_breakout' then 'e.breakout_type' else 'null' end,
        case p_type when 'atr_breakout' then ', e.breakout_type' end
    )
    into pairs, own, with_setups, bars, froms, ids, signal_ids, pair_froms, stored
    using p_type, p_ids, p_froms;
    return next;
end
$$;

comment on function signals._due(text, integer[], timestamptz[]) is
    'Private: the signals of a type that are due for assets, from where on, with what stands there.';

create or replace function signals.refresh_type(p_type text, p_ids integer[], p_froms timestamptz[])
returns table (
    id integer,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language plpgsql
volatile parallel unsafe
-- The plans are kept for the session: those made when the tables were empty must serve full ones too.
set enable_seqscan = off
as $$
declare
    v_target text := 'signals.cmc_signals_' || p_type;
    v_due    record;
    v_read   record;
    v_kernel record;
begin
    select d.* into v_due from signals._due(p_type, p_ids, p_froms) as d;

    select
        array_agg(i.id order by i.id) as ids,
        array_agg(i.candles order by i.id) as candles,
        array_agg(i.last_ts order by i.id) as last_ts,
        array_agg(i.ts order by i.id) as ts,
        array_agg(i.available_at order by i.id) as available_at,
        array_agg(i.open order by i.id) as open,
        array_agg(i.high order by i.id) as high,
        array_agg(i.low order by i.id) as low,
        array_agg(i.close order by i.id) as close,
        array_agg(i.rsi_14 order by i.id) as rsi_14,
        array_agg(i.atr_14 order by i.id) as atr_14,
        array_agg(i.parkinson_20 order by i.id) as parkinson_20,
        case when v_due.with_setups then array_agg(i.setups order by i.id) end as setups,
        array_agg(i.own order by i.id) filter (where i.own <> '{}') as own
    into v_read
    from signals.inputs(
        p_ids, v_due.froms, coalesce(v_due.bars, 1), coalesce(v_due.own, '{}'), coalesce(v_due.with_setups, false)
    ) as i;

    select k.*
    into v_kernel
    from signals.signals_kernel(
        p_type, coalesce(v_due.pairs, '[]'), v_read.ts, v_read.available_at, v_read.open, v_read.high, v_read.low,
        v_read.close, v_read.rsi_14, v_read.atr_14, v_read.parkinson_20, v_read.setups, v_read.own, v_due.stored
    ) as k;

    if v_kernel.stale <> '{}' then
        execute format(
            'delete from %s as r'
            ' using unnest($1, $2, $3, $4) as s (id, signal_id, ts, position_state)'
            ' where (r.id, r.signal_id, r.ts, r.position_state) = (s.id, s.signal_id, s.ts, s.position_state)',
            v_target
        )
        using v_kernel.stale_ids, v_kernel.stale_signal_ids, v_kernel.stale, v_kernel.stale_states;
    end if;
    if v_kernel.packed <> '' then
        perform features.copy_in(v_target::regclass, v_kernel.packed);
    end if;

    insert into signals.cmc_signal_state as s (id, signal_type, signal_id, last_ts, open_entries, last_exit_ts)
    select p.id, p_type, p.signal_id, p.last_ts, p.open_entries::timestamptz[], p.last_exit_ts
    from unnest(
        v_due.ids, v_due.signal_ids, v_kernel.last_ts, v_kernel.open_entries, v_kernel.last_exit_ts
    ) as p (id, signal_id, last_ts, open_entries, last_exit_ts)
    on conflict on constraint cmc_signal_state_pkey do update
    set last_ts = excluded.last_ts,
        open_entries = excluded.open_entries,
        last_exit_ts = excluded.last_exit_ts
    where (s.last_ts, s.open_entries, s.last_exit_ts)
        is distinct from (excluded.last_ts, excluded.open_entries, excluded.last_exit_ts);

    delete from signals.cmc_signal_segments as s
    using unnest(v_due.ids, v_due.signal_ids, v_due.pair_froms) with ordinality as p (id, signal_id, from_ts, pair)
    where s.id = p.id
      and s.signal_id = p.signal_id
      and (p.from_ts = '-infinity' or s.year >= extract(year from p.from_ts at time zone 'UTC'))
      and not exists (
          select
          from unnest(v_kernel.segment_pairs, v_kernel.segment_years) as k (pair, year)
          where k.pair = p.pair - 1
            and k.year = s.year
      );
    insert into signals.cmc_signal_segments as s (id, signal_id, year, row_count, last_ts, digest)
    select v_due.ids[k.pair + 1], v_due.signal_ids[k.pair + 1], k.year, k.row_count, k.last_ts, k.digest
    from unnest(
        v_kernel.segment_pairs, v_kernel.segment_years, v_kernel.segment_counts,
        v_kernel.segment_last_ts, v_kernel.segment_digests
    ) as k (pair, year, row_count, last_ts, digest)
    on conflict on constraint cmc_signal_segments_pkey do update
    set row_count = excluded.row_count,
        last_ts = excluded.last_ts,
        digest = excluded.digest
    where (s.row_count, s.last_ts, s.digest)
        is distinct from (excluded.row_count, excluded.last_ts, excluded.digest);

    return query
    select
        a.id, r.candles, coalesce(w.changed, 0), coalesce(w.unchanged, 0), a.from_ts, r.last_ts, null::bytea
    from unnest(p_ids, v_due.froms) as a (id, from_ts)
    join unnest(v_read.ids, v_read.candles, v_read.last_ts) as r (id, candles, last_ts) on r.id = a.id
    left join (
        select p.id, sum(p.changed)::bigint as changed, sum(p.unchanged)::bigint as unchanged
        from unnest(v_due.ids, v_kernel.changed, v_kernel.unchanged) as p (id, changed, unchanged)
        group by p.id
    ) as w on w.id = a.id;
end
$$;

comment on function signals.refresh_type(text, integer[], timestamptz[]) is
    'Brings entries, exits, states and segments of the signals of a type up to date for assets, each from a ts on.';
