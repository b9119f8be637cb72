-- bars.log_dirty_range(p_id, p_from, p_to, p_table): tell every consumer of a table that an asset's rows changed, as nothing.
--
--     select bars.log_dirty_range(1, '2020-01-01 23:59:59.999+00', '2020-01-31 23:59:59.999+00');
--
-- The triggers of the price table call it, and so does every computation for the table that it
-- fills. A consumer deletes its rows first and then reads: a change that commits in between keeps
-- its row.

create or replace function bars.log_dirty_range(
    p_id integer,
    p_from timestamptz,
    p_to timestamptz,
    p_table text default 'cmc_price_histories7'
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    insert into bars.dirty_range (id, consumer, from_ts, to_ts)
    select p_id, c.consumer, p_from, p_to
    from bars.dim_consumers as c
    where c.reads = p_table
       or p_table = any (c.also_reads);
end
$$;

comment on function bars.log_dirty_range(integer, timestamptz, timestamptz, text) is
    'Adds one dirty range of an asset for every consumer of a table, candles by default; both ends are included.';
