-- bars.log_inserted_intraday(): log what an insert or COPY added to the intraday candles, as a statement trigger.
--
--     insert into bars.intraday_candles (id, resolution, ts, open, high, low, close) values (...);
--
-- One range per asset and statement, whichever client wrote it; a new series gets its row in
-- intraday_state.
--
-- requires: functions/bars/log_dirty_range.sql

create or replace function bars.log_inserted_intraday()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_changed record;
begin
    for v_changed in
        select n.id, min(n.ts) as from_ts, max(n.ts) as to_ts, array_agg(distinct n.resolution) as resolutions
        from new_rows as n
        group by n.id
        order by n.id
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

comment on function bars.log_inserted_intraday() is
    'After an insert into the intraday candles: one dirty range per asset and consumer.';

create or replace trigger log_inserted
    after insert on bars.intraday_candles
    referencing new table as new_rows
    for each statement execute function bars.log_inserted_intraday();
