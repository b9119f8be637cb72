-- bars.roll_up_intraday(p_id, p_rebuild): bring an asset's bars of intraday candles up to date, as counts.
--
--     select u.spans, u.rows_written from bars.roll_up_intraday(1) as u;
--
-- For editions without continuous aggregates. The dirty ranges go first, then the candles are read: one that
-- is committed in between keeps its range. They are the lock too: a bar differs from its candles
-- only where a range stands, so of two sessions the second waits for the first one's ranges.
-- Whole bars over what changed are made from their candles, in the order of time, and those that
-- differ are written.

create or replace function bars.roll_up_intraday(p_id integer, p_rebuild boolean default false)
returns table (spans bigint, rows_written bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    c_origin constant timestamptz := timestamptz '2000-01-01 00:00+00';
    v_dirty  tstzmultirange;
    v_span   record;
    v_rows   bigint;
begin
    spans := 0;
    rows_written := 0;
    with taken as (
        delete from bars.dirty_range as d
        where d.id = p_id
          and d.consumer = 'intraday'
        returning d.from_ts, d.to_ts
    )
    select range_agg(tstzrange(t.from_ts, t.to_ts, '[]'))
    into v_dirty
    from taken as t;
    if p_rebuild then
        v_dirty := tstzmultirange(tstzrange('-infinity', 'infinity'));
    end if;

    for v_span in
        select s.resolution, b.bucket, lower(w.span) as from_ts, upper(w.span) as to_ts
        from bars.intraday_state as s
        -- 24 hours and not a day, whose length depends on the session's time zone.
        cross join (values (interval '1 hour'), (interval '24 hours')) as b (bucket)
        cross join lateral (
            select unnest(range_agg(tstzrange(
                date_bin(b.bucket, lower(d.span), c_origin),
                date_bin(b.bucket, upper(d.span), c_origin) + b.bucket
            )))
            from unnest(v_dirty) as d (span)
        ) as w (span)
        where s.id = p_id
        order by s.resolution, b.bucket, w.span
    loop
        with wanted as (
            select
                date_bin(v_span.bucket, c.ts, c_origin) as ts,
                (array_agg(c.open order by c.ts))[1] as open,
                max(c.high) as high,
                min(c.low) as low,
                (array_agg(c.close order by c.ts desc))[1] as close,
                sum(c.volume order by c.ts) as volume,
                count(*) as candles,
                max(c.ts) as last_ts
            from bars.intraday_candles as c
            where c.id = p_id
              and c.resolution = v_span.resolution
              and c.ts >= v_span.from_ts
              and c.ts < v_span.to_ts
            group by 1
        ), gone as (
            delete from bars.intraday_rollups as r
            where r.id = p_id
              and r.bucket = v_span.bucket
              and r.resolution = v_span.resolution
              and r.ts >= v_span.from_ts
              and r.ts < v_span.to_ts
              and r.ts not in (select w.ts from wanted as w)
            returning r.ts
        ), written as (
            insert into bars.intraday_rollups as r (
                id, resolution, bucket, ts, open, high, low, close, volume, candles, last_ts
            )
            select
                p_id, v_span.resolution, v_span.bucket,
                w.ts, w.open, w.high, w.low, w.close, w.volume, w.candles, w.last_ts
            from wanted as w
            where not exists (
                select
                from bars.intraday_rollups as o
                where o.id = p_id
                  and o.bucket = v_span.bucket
                  and o.resolution = v_span.resolution
                  and o.ts >= v_span.from_ts
                  and o.ts < v_span.to_ts
                  and o.ts = w.ts
                  and row (o.open, o.high, o.low, o.close, o.volume, o.candles, o.last_ts)
                      is not distinct from row (w.open, w.high, w.low, w.close, w.volume, w.candles, w.last_ts)
            )
            on conflict (id, bucket, resolution, ts) do update
            set open = excluded.open,
                high = excluded.high,
                low = excluded.low,
                close = excluded.close,
                volume = excluded.volume,
                candles = excluded.candles,
                last_ts = excluded.last_ts
            returning r.ts
        )
        select count(*)
        into v_rows
        from (select g.ts from gone as g union all select w.ts from written as w) as changed;
        spans := spans + 1;
        rows_written := rows_written + v_rows;
    end loop;
    return next;
end
$$;

comment on function bars.roll_up_intraday(integer, boolean) is
    'Makes the bars of one asset''s intraday candles anew where candles changed; spans looked at, bars written or removed.';
