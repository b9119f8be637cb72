-- bars.prices_as_of(p_known_at, p_asset_ids): the candles as the price table held them at a moment, as a table.
--
--     select * from bars.prices_as_of('2024-06-01 06:00+00', '{1,1027}');
--
-- A candle counts when recorded_at <= p_known_at < superseded_at. A transaction counts from its
-- begin, whenever it committed. All assets are those that had been loaded by then.
-- An asset that is named and was loaded later is an error, not an empty result.

create or replace function bars.prices_as_of(p_known_at timestamptz, p_asset_ids integer[] default null)
returns table (
    id          integer,
    ts          timestamptz,
    open        double precision,
    high        double precision,
    low         double precision,
    close       double precision,
    volume      double precision,
    market_cap  double precision,
    time_high   timestamptz,
    time_low    timestamptz,
    recorded_at timestamptz
)
language plpgsql
stable parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id    integer;
    v_first timestamptz;
begin
    if p_known_at is null then
        raise exception 'no moment is given'
            using errcode = 'TA203',
                  detail = 'p_known_at is null.',
                  hint = 'Give the moment, such as now().';
    end if;
    select w.id, c.first_recorded_at
    into v_id, v_first
    from unnest(p_asset_ids) as w (id)
    left join bars.price_state as c on c.id = w.id
    where c.first_recorded_at is null or c.first_recorded_at > p_known_at
    order by c.first_recorded_at is not null, w.id
    limit 1;
    if found and v_first is null then
        raise exception 'no prices of asset % were ever loaded', v_id
            using errcode = 'TA204',
                  detail = format('Asked for what was known at %s.', p_known_at),
                  hint = '`select * from dim_assets` lists the assets; `ta-lab2 ingest` loads prices.';
    end if;
    if not found and p_asset_ids is null then
        select min(c.first_recorded_at)
        into v_first
        from bars.price_state as c
        having min(c.first_recorded_at) > p_known_at;
    end if;
    if found then
        raise exception 'no prices of % were known at %', coalesce('asset ' || v_id, 'any asset'), p_known_at
            using errcode = 'TA205',
                  detail = format('They were first loaded at %s.', v_first),
                  hint = 'Ask for that moment or a later one.';
    end if;
    return query
    select
        p.id, p.ts, p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low,
        p.recorded_at
    from bars.cmc_price_histories7 as p
    where p.recorded_at <= p_known_at
      and (p_asset_ids is null or p.id = any (p_asset_ids))
    union all
    select
        r.id, r.ts, r.open, r.high, r.low, r.close, r.volume, r.market_cap, r.time_high, r.time_low,
        r.recorded_at
    from bars.price_revisions as r
    where r.recorded_at <= p_known_at
      and r.superseded_at > p_known_at
      and (p_asset_ids is null or r.id = any (p_asset_ids));
end
$$;

comment on function bars.prices_as_of(timestamptz, integer[]) is
    'The candles as they stood at p_known_at, by when they were stored; of all assets by default.';

grant execute on function bars.prices_as_of(timestamptz, integer[]) to ta_lab2_research;
