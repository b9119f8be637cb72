-- ops.load_synthetic_market(p_revised): load the synthetic market, as counts of what became of its candles.
--
--     select * from ops.load_synthetic_market(p_revised => false);   -- as first published
--     select * from ops.load_synthetic_market();                     -- one candle revised
--
-- The candles go the way of every price: staged as text, judged and loaded by the routine
-- that loads files. Nothing here knows the table of prices.
--
-- requires: functions/ops/synthetic_market.sql, functions/bars/load_staged_prices.sql

create or replace function ops.load_synthetic_market(p_revised boolean default true)
returns table (loaded bigint, unchanged bigint, revised bigint, rejected bigint, forming bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_loads jsonb;
begin
    select jsonb_object_agg(a.id, gen_random_uuid())
    into v_loads
    from ops.synthetic_assets() as a;

    insert into bars.price_staging (
        load, line, raw, day, ticker, open, high, low, close, volume, market_cap
    )
    select
        (v_loads ->> m.id::text)::uuid,
        row_number() over (partition by m.id order by m.day),
        m::text, to_char(m.day, 'YYYY-MM-DD'), m.symbol,
        m.open, m.high, m.low, m.close, m.volume, m.market_cap
    from ops.synthetic_market(p_revised) as m;

    return query
    select
        sum(c.loaded)::bigint, sum(c.unchanged)::bigint, sum(c.revised)::bigint,
        sum(c.rejected)::bigint, sum(c.forming)::bigint
    from ops.synthetic_assets() as a
    cross join lateral bars.load_staged_prices(
        (v_loads ->> a.id::text)::uuid, 'ops.synthetic_market()', a.id, a.slug,
        '{volume,market_cap}', p_source => 'synthetic'
    ) as c;
end
$$;

comment on function ops.load_synthetic_market(boolean) is
    'Loads the synthetic market into the tables of prices; a repetition changes nothing.';
