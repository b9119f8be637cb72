-- regimes.as_of(p_asset_ids, p_at, p_known_at): the regimes and the policy that were known at a moment of the market, a row per asset.
--
--     select * from regimes.as_of();
--     select r.l2_key, r.setups from regimes.as_of('{1}', '2024-01-01') as r;
--     select r.l2_key from regimes.as_of(p_known_at => '2024-06-02 06:00+00') as r;
--
-- Two clocks, as features.as_of has them. p_at is market time: the last row of cmc_regimes_daily with
-- available_at <= p_at, by default the last one. p_known_at is knowledge time: null, the default, reads what is stored;
-- any other moment takes the candles as they stood then and works bars, EMAs and regimes out from them with the
-- kernels of a refresh, to the same bits. Layers, policy, periods and calendar are today's.
-- An asset without such a row has no row here.
-- Runs as its owner: research has no right on the tables. What is published it reads whole; this read ends at p_at.
--
-- requires: functions/regimes/policy.sql, functions/features/as_of.sql
-- requires: functions/regimes/daily_as_of.sql

create or replace function regimes.as_of(
    p_asset_ids integer[] default null,
    p_at timestamptz default 'infinity',
    p_known_at timestamptz default null
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
stable parallel unsafe
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
        a.id, r.ts, r.available_at, r.is_gap, r.l0_key, r.l1_key, r.l2_key,
        p.size, p.stop, p.setups, p.stand_down
    from unnest(features._assets_known(p_asset_ids, p_known_at)) as a (id)
    cross join lateral (
        select d.*
        from (
            select s.ts, s.available_at, s.is_gap, s.l0_key, s.l1_key, s.l2_key
            from regimes.cmc_regimes_daily as s
            where p_known_at is null
              and s.id = a.id
            union all
            select k.ts, k.available_at, k.is_gap, k.l0_key, k.l1_key, k.l2_key
            from regimes.daily_as_of(a.id, p_known_at) as k
            where p_known_at is not null
        ) as d
        where d.available_at <= p_at
        order by d.ts desc
        limit 1
    ) as r
    cross join lateral regimes.policy(array[r.l0_key, r.l1_key, r.l2_key]) as p
    order by a.id;
end
$$;

comment on function regimes.as_of(integer[], timestamptz, timestamptz) is
    'Last regimes of assets that were available at a market time, from what was known at a moment, and what they allow together.';

grant execute on function regimes.as_of(integer[], timestamptz, timestamptz) to ta_lab2_research;
