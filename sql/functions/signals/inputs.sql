-- signals.inputs(p_ids, p_froms, p_bars, p_own, p_setups, p_known_at): what signals are worked out from, one row per asset, packed.
--
--     select i.* from signals.inputs('{1,1027}', '{-infinity,2024-01-01}', 20, '{ema_21,ema_50}', false) as i;
--
-- The candles from p_froms on, and so many before them; sessions without a candle have none. Arrays are
-- array_send in any order, nulls as NaN. p_own are columns of the feature store, added indicators included, or ema_N
-- for any period of dim_ema_periods. With p_setups what the regimes of all layers allow, as
-- regimes.policy says of each: 1 breakout, 2 pullback, 4 mean_revert, 8 short.
-- last_ts is the asset's last candle there. With p_known_at all of it is as it was known at that moment, of one asset.
-- Runs as ta_lab2_research: it may read what is published and the as-of functions, and no other table.
--
-- requires: functions/features/as_of.sql, functions/regimes/policy.sql
-- requires: functions/features/ema_rows_as_of.sql, functions/regimes/daily_as_of.sql

grant execute on function regimes.policy(text[]) to ta_lab2_research;

-- Where a signal's own input stands: f is the feature store, e the EMAs.
create or replace function signals._source(p_name text)
returns text
language plpgsql
stable parallel safe
as $$
declare
    v_slot integer;
begin
    if p_name like 'ema\_%' then
        select p.slot into v_slot from features.dim_ema_periods as p where p_name = 'ema_' || p.period;
        return format('e.ema[%s]', v_slot);
    end if;
    if exists (
        select
        from pg_catalog.pg_attribute as a
        where a.attrelid = 'published.cmc_daily_features'::regclass
          and a.attname = p_name
    ) then
        return format('f.%I', p_name);
    end if;
    -- The shortest text of a number, which gives back its bits.
    return format('(f.extra ->> %L)::double precision', p_name);
end
$$;

comment on function signals._source(text) is
    'Private: the expression that reads an input of this name.';

grant execute on function signals._source(text) to ta_lab2_research;

create or replace function signals.inputs(
    p_ids integer[],
    p_froms timestamptz[],
    p_bars integer,
    p_own text[],
    p_setups boolean,
    p_known_at timestamptz default null
)
returns table (
    id integer,
    candles bigint,
    last_ts timestamptz,
    ts bytea,
    available_at bytea,
    open bytea,
    high bytea,
    low bytea,
    close bytea,
    rsi_14 bytea,
    atr_14 bytea,
    parkinson_20 bytea,
    setups bytea,
    own bytea[]
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_tf_id    integer := (select t.tf_id from timemodel.dim_timeframe as t where t.tf = '1D');
    v_features text := 'published.cmc_daily_features';
    v_emas     text := 'published.cmc_ema_multi_tf';
    v_regimes  text := 'published.cmc_regimes_daily';
    v_of       text[] := array['f.id = a.id and', 'e.id = f.id and e.tf_id = $4 and', 'r.id = f.id and'];
    v_known    text;
    v_own      text;
    v_has_emas boolean := exists (select from unnest(p_own) as o (name) where o.name like 'ema\_%');
begin
    select string_agg(
        format('array_send(array_agg(coalesce(%s, ''NaN'')))', signals._source(o.name)), ', ' order by o.place
    )
    into v_own
    from unnest(p_own) with ordinality as o (name, place);

    if p_known_at is not null then
        v_known := concat_ws(
            ', ',
            'feature as materialized (select f.* from features.as_of($1, p_known_at => $5) as f)',
            case when v_has_emas then
                'ema as materialized (select e.* from features.ema_rows_as_of($1[1], array[$4], $5) as e)'
            end,
            case when p_setups then
                'regime as materialized (select r.* from regimes.daily_as_of($1[1], $5) as r)'
            end
        ) || ',';
        v_features := 'feature';
        v_emas := 'ema';
        v_regimes := 'regime';
        -- They are of one asset and one timeframe: to ask that again has the planner expect a single row,
        -- and join two histories each row with each.
        v_of := array['', '', ''];
    end if;

    for
        id, candles, last_ts, ts, available_at, open, high, low, close,
        rsi_14, atr_14, parkinson_20, setups, own
    in execute format(
        $query$
        with %6$s asset as materialized (
            select
                a.id,
                a.from_ts,
                coalesce(
                    (
                        select f.ts
                        from %1$s as f
                        where f.id = a.id
                          and f.ts < a.from_ts
                          and not f.is_gap
                        order by f.ts desc
                        offset $3 - 1
                        limit 1
                    ),
                    '-infinity'
                ) as start_ts
            from unnest($1, $2) as a (id, from_ts)
        )%4$s
        select
            a.id, c.candles,
            (
                select f.ts
                from %1$s as f
                where f.id = a.id
                  and not f.is_gap
                order by f.ts desc
                limit 1
            ),
            c.ts, c.available_at, c.open, c.high, c.low, c.close,
            c.rsi_14, c.atr_14, c.parkinson_20, c.setups, c.own
        from asset as a
        cross join lateral (
            select
                count(*) as candles,
                array_send(array_agg(f.ts)) as ts,
                array_send(array_agg(f.available_at)) as available_at,
                array_send(array_agg(f.open)) as open,
                array_send(array_agg(f.high)) as high,
                array_send(array_agg(f.low)) as low,
                array_send(array_agg(f.close)) as close,
                array_send(array_agg(coalesce(f.rsi_14, 'NaN'))) as rsi_14,
                array_send(array_agg(coalesce(f.atr_14, 'NaN'))) as atr_14,
                array_send(array_agg(coalesce(f.parkinson_20, 'NaN'))) as parkinson_20,
                %5$s as setups,
                array[%2$s]::bytea[] as own
            from %1$s as f
            %3$s
            where %7$s f.ts >= a.start_ts
              and not f.is_gap
        ) as c
        order by a.id
        $query$,
        v_features,
        v_own,
        concat_ws(
            ' ',
            case when v_has_emas then format(
                'left join %s as e on %s e.time_close = f.ts', v_emas, v_of[2]
            ) end,
            case when p_setups then format(
                'left join %s as r on %s r.ts = f.ts'
                ' left join policy as l0 on l0.key = r.l0_key'
                ' left join policy as l1 on l1.key = r.l1_key'
                ' left join policy as l2 on l2.key = r.l2_key',
                v_regimes, v_of[3]
            ) end
        ),
        case when p_setups then format(
            $policy$,
            policy as materialized (
                select
                    k.key,
                    (
                        select coalesce(sum(w.bit), 0)::integer
                        from (values ('breakout', 1), ('pullback', 2), ('mean_revert', 4), ('short', 8)) as w (setup, bit)
                        where w.setup = any (p.setups)
                    ) as bits
                from (
                    select distinct u.key
                    from asset as a
                    join %s as r on r.id = a.id and r.ts >= a.start_ts
                    cross join unnest(array[r.l0_key, r.l1_key, r.l2_key]) as u (key)
                ) as k
                cross join lateral regimes.policy(array[k.key]) as p
            )$policy$,
            v_regimes
        ) end,
        case when p_setups then 'array_send(array_agg(coalesce((l0.bits & l1.bits & l2.bits)::double precision, ''NaN'')))' else 'null::bytea' end,
        v_known,
        v_of[1]
    )
    using p_ids, p_froms, p_bars, v_tf_id, p_known_at
    loop
        return next;
    end loop;
end
$$;

comment on function signals.inputs(integer[], timestamptz[], integer, text[], boolean, timestamptz) is
    'Candles of assets with what signals read beside them, from a ts each and some bars before it, as packed arrays.';

-- Not in the function's definition: PostgreSQL would check the body as that role, which may not execute it yet.
alter function signals.inputs(integer[], timestamptz[], integer, text[], boolean, timestamptz)
    set role = 'ta_lab2_research';

grant execute on function signals.inputs(integer[], timestamptz[], integer, text[], boolean, timestamptz)
    to ta_lab2_research;
