-- bars.forming(p_id, p_tf, p_at): the bar of a timeframe that is unfinished at a moment, as the row that it would be.
--
--     select * from bars.forming(1, '1W_CAL_ISO');
--     select * from bars.forming(1, '1M_CAL', '2024-03-15 12:00+00');
--
-- From the candles up to p_at alone: what the stored bar, with the same time_close, was then. Its
-- time_close is the end of its window and lies ahead, or the data ended before it; missing days are
-- those that had ended by p_at. No row when the last candle up to p_at closed its bar, when there is
-- no candle, or when the first full week, month or year has not begun.
--
-- requires: functions/bars/ladder.sql, functions/timemodel/timeframe.sql

create or replace function bars.forming(
    p_id integer,
    p_tf text,
    p_at timestamptz default now()
)
returns table (
    id integer,
    tf_id integer,
    time_close timestamptz,
    time_open timestamptz,
    bar_seq integer,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    market_cap double precision,
    time_high timestamptz,
    time_low timestamptz,
    is_partial_start boolean,
    is_partial_end boolean,
    count_days integer,
    count_missing_days integer
)
language plpgsql
stable parallel unsafe
as $$
declare
    v_tf_id integer;
    v_first timestamptz;
    v_last  timestamptz;
begin
    if num_nulls(p_id, p_tf, p_at) > 0 then
        raise exception 'an asset, a timeframe and a moment are needed, not null'
            using errcode = '22004',
                  hint = 'A null would look like a bar that is closed.';
    end if;
    if not exists (select from bars.dim_assets as a where a.id = p_id) then
        raise exception 'there is no asset %', p_id
            using errcode = 'TA210',
                  detail = format('Of %s that are known.', (select count(*) from bars.dim_assets)),
                  hint = '`ta-lab2 assets list` lists them.';
    end if;
    v_tf_id := (timemodel.timeframe(p_tf)).tf_id;
    select min(p.ts), max(p.ts)
    into v_first, v_last
    from bars.cmc_price_histories7 as p
    where p.id = p_id
      and p.ts <= p_at;
    if v_first is null then
        return;
    end if;
    return query
    select f.*
    from bars.ladder(array[p_id], array[v_tf_id], array[v_first], array[v_last], null, p_at) as l
    cross join lateral jsonb_populate_recordset(
        null::bars.cmc_price_bars_multi_tf, l.forming
    ) as f;
end
$$;

comment on function bars.forming(integer, text, timestamptz) is
    'The unfinished bar of one timeframe at a moment, from the candles up to it; no row when it is closed or there is none.';
