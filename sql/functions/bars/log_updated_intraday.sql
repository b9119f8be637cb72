-- bars.log_updated_intraday(): log which intraday candles an update or upsert changed, as a statement trigger.
--
--     update bars.intraday_candles as p set close = 9 where p.id = 1 and p.ts > '2024-01-01';
--
-- A row that was written as it stood did not change and logs nothing. A candle that moved to
-- another id, resolution or ts is deleted there and new here.
--
-- requires: functions/bars/log_dirty_range.sql

create or replace function bars.log_updated_intraday()
returns trigger
language plpgsql
volatile parallel unsafe
-- The plan is kept for the session: one made for a small update must also serve a large one.
set enable_nestloop = off
as $$
declare
    v_changed record;
begin
    for v_changed in
        select id, min(ts) as from_ts, max(ts) as to_ts, array_agg(distinct resolution) as resolutions
        from old_rows as o
        full join new_rows as n using (id, resolution, ts)
        where row (o.open, o.high, o.low, o.close, o.volume)
            is distinct from row (n.open, n.high, n.low, n.close, n.volume)
        group by id
        order by id
    loop
        insert into bars.intraday_state (id, resolution)
        select v_changed.id, r.resolution
        from unnest(v_changed.resolutions) as r (resolution)
        on conflict (id, resolution) do nothing;
        perform bars.log_dirty_range(
            v_changed.id, v_changed.from_ts, v_changed.to_ts, 'intraday_candles'
        );
    end loop;
    return null;
end
$$;

comment on function bars.log_updated_intraday() is
    'After an update of the intraday candles: a dirty range per asset over the rows that differ.';

create or replace trigger log_updated
    after update on bars.intraday_candles
    referencing old table as old_rows new table as new_rows
    for each statement execute function bars.log_updated_intraday();
