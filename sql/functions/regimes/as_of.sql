-- regimes.as_of(p_asset_ids, p_at): the regimes and the policy that were known at a moment of the market, a row per asset.
--
--     select * from regimes.as_of();
--     select r.l2_key, r.setups from regimes.as_of('{1}', '2024-01-01') as r;
--
-- The last row of cmc_regimes_daily with available_at <= p_at (default: all that is stored), from the
-- candles as they stand now, with the policy as it stands now. An asset without such a row has no row here.
-- Runs as its owner: research reads regimes only through it, so that it can't look past p_at.
--
-- requires: functions/regimes/policy.sql, functions/features/assets_to_refresh.sql

create or replace function regimes.as_of(
    p_asset_ids integer[] default null,
    p_at timestamptz default 'infinity'
)
returns table (
    id integer,
    ts timestamptz,
    available_at timestamptz,
    is_gap boolean,
    l0_key text,
    l1_key text,
    l2_key text,
    size double precision,
    stop double precision,
    setups text[],
    stand_down boolean
)
language plpgsql
stable parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_at is null then
        raise exception 'no moment is given'
            using errcode = 'TAR03',
                  detail = 'p_at is null.',
                  hint = 'Give the moment, or leave it out for the last row.';
    end if;
    return query
    select
        r.id, r.ts, r.available_at, r.is_gap, r.l0_key, r.l1_key, r.l2_key,
        p.size, p.stop, p.setups, p.stand_down
    from unnest(features._known_assets(p_asset_ids)) as a (id)
    cross join lateral (
        select d.*
        from regimes.cmc_regimes_daily as d
        where d.id = a.id
          and d.available_at <= p_at
        order by d.ts desc
        limit 1
    ) as r
    cross join lateral regimes.policy(array[r.l0_key, r.l1_key, r.l2_key]) as p
    order by r.id;
end
$$;

comment on function regimes.as_of(integer[], timestamptz) is
    'Last regimes of assets that were available at a moment, and what they allow together.';

grant execute on function regimes.as_of(integer[], timestamptz) to ta_lab2_research;
