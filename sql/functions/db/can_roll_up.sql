-- db.can_roll_up(): whether this server keeps rollups by itself, as a boolean.
--
--     select db.can_roll_up();
--
-- True where TimescaleDB is the community edition, which has continuous aggregates.

create or replace function db.can_roll_up()
returns boolean
language sql
stable parallel safe
as $$
select current_setting('timescaledb.license', true) is not distinct from 'timescale'
    and exists (select from pg_extension as e where e.extname = 'timescaledb')
$$;

comment on function db.can_roll_up() is
    'Whether TimescaleDB is here and its edition has continuous aggregates.';
