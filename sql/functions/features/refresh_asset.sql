-- features.refresh_asset(p_id, p_rebuild, p_verb): bring one asset's features up to date, as counts of rows.
--
--     select c.rows_written from features.refresh_asset(1) as c;
--
-- What features.refresh_assets does, for a set of one, with all computations in one row.
--
-- requires: functions/features/refresh_assets.sql

create or replace function features.refresh_asset(
    p_id integer,
    p_rebuild boolean default false,
    p_verb text default 'refresh_features'
)
returns table (rows_read bigint, rows_written bigint, rows_unchanged bigint)
language plpgsql
volatile parallel unsafe
as $$
begin
    return query
    select
        coalesce(sum(c.rows_read), 0)::bigint,
        coalesce(sum(c.rows_written), 0)::bigint,
        coalesce(sum(c.rows_unchanged), 0)::bigint
    from features.refresh_assets(array[p_id], p_rebuild, p_verb => p_verb) as c;
end
$$;

comment on function features.refresh_asset(integer, boolean, text) is
    'Brings all that a verb computes of one asset up to date; candles read, rows written or removed, rows left alone.';
