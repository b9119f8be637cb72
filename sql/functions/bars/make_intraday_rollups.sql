-- bars.make_intraday_rollups(): keep the bars of intraday candles as this edition can, as whether that changed.
--
--     select bars.make_intraday_rollups();
--
-- The last step of a migration. Where TimescaleDB has continuous aggregates the bars are two of them, elsewhere
-- rows of intraday_rollups; intraday_buckets shows either. A database that came from the other edition is
-- turned round: bars are made from candles, so the old ones go and every candle is dirty.
--
-- requires: functions/db/can_roll_up.sql, functions/db/make_rollup.sql

create or replace function bars._point_intraday_buckets(p_query text)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    execute 'create or replace view bars.intraday_buckets as ' || p_query;
    delete from bars.dirty_range as d where d.consumer = 'intraday';
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select c.id, 'intraday', min(c.ts), max(c.ts)
    from bars.intraday_candles as c
    group by c.id;
end
$$;

comment on function bars._point_intraday_buckets(text) is
    'Private: lets intraday_buckets read from elsewhere, where everything is to be made anew.';

create or replace function bars.make_intraday_rollups()
returns boolean
language plpgsql
volatile parallel unsafe
as $$
declare
    -- The same as in bars.roll_up_intraday; a test on the community edition holds them equal.
    c_values constant text := '
        (array_agg(s.open order by s.ts))[1] as open,
        max(s.high) as high,
        min(s.low) as low,
        (array_agg(s.close order by s.ts desc))[1] as close,
        sum(s.volume order by s.ts) as volume,
        count(*) as candles,
        max(s.ts) as last_ts';
    c_columns constant text :=
        'r.ts, r.open, r.high, r.low, r.close, r.volume, r.candles, r.last_ts';
    v_is_continuous boolean := to_regclass('bars.intraday_1h_continuous') is not null;
    v_rollup record;
begin
    if v_is_continuous = db.can_roll_up() then
        return false;
    end if;
    if v_is_continuous then
        perform bars._point_intraday_buckets(
            format('select r.id, r.resolution, r.bucket, %s from bars.intraday_rollups as r', c_columns)
        );
        drop materialized view bars.intraday_1h_continuous;
        drop materialized view bars.intraday_1d_continuous;
        return true;
    end if;
    for v_rollup in
        select 'bars.intraday_1h_continuous' as name, interval '1 hour' as bucket
        union all
        select 'bars.intraday_1d_continuous', interval '24 hours'
    loop
        perform db.make_rollup(
            v_rollup.name, 'bars.intraday_candles', 'ts', v_rollup.bucket, '{id,resolution}',
            c_values, 'ta_lab2_app'
        );
    end loop;
    delete from bars.intraday_rollups;
    perform bars._point_intraday_buckets(format(
        'select r.id, r.resolution, interval ''1 hour'' as bucket, %1$s from bars.intraday_1h_continuous as r'
            ' union all'
            ' select r.id, r.resolution, interval ''24 hours'', %1$s from bars.intraday_1d_continuous as r',
        c_columns
    ));
    return true;
end
$$;

comment on function bars.make_intraday_rollups() is
    'Makes the bars of intraday candles continuous aggregates, or a kept table, as the edition has it; true when that changed.';
