-- regimes.policy(p_keys): what the regimes of some layers allow together, as one row.
--
--     select p.size, p.stop, p.setups, p.stand_down from regimes.policy('{Up-Low-Normal,Up-High-Easy}') as p;
--     select r.ts, p.*
--     from cmc_regimes_daily as r
--     cross join lateral regimes.policy(array[r.l0_key, r.l1_key, r.l2_key]) as p
--     where r.id = 1 order by r.ts desc limit 5;
--
-- Each key finds its row of dim_regime_policies, word by word: the row with most words wins; of as many, the
-- one that names the trend, then the volatility. The rows with a size_cap that match cap its size. Over the
-- keys the size is the smallest, the stop the largest, and the setups are those that all of them allow.
-- stand_down: no setup is left, or a key has an Unknown word or no row; size and stop are null in
-- the latter two cases.

create or replace function regimes.policy(p_keys text[])
returns table (size double precision, stop double precision, setups text[], stand_down boolean)
language plpgsql
stable parallel safe
as $$
declare
    v_odd text;
begin
    select w.key
    into v_odd
    from unnest(coalesce(nullif(p_keys, '{}'), '{null}')) as w (key)
    where w.key is null
       or w.key !~ '^(Up|Sideways|Down|Unknown)-(Low|Normal|High|Unknown)-(Stressed|Normal|Easy|Unknown)$'
    limit 1;
    if found then
        raise exception '% is no regime', coalesce(v_odd, 'null')
            using errcode = 'TAR02',
                  detail = 'A regime is trend-volatility-liquidity.',
                  hint = 'Give keys such as Up-High-Normal, as cmc_regimes_daily has them.';
    end if;
    return query
    with word as (
        select
            k.place,
            split_part(k.key, '-', 1) as trend,
            split_part(k.key, '-', 2) as volatility,
            split_part(k.key, '-', 3) as liquidity,
            k.key ~ 'Unknown' as is_unknown
        from unnest(p_keys) with ordinality as k (key, place)
    ),

    matched as (
        select
            w.place,
            p.*,
            row_number() over (
                partition by w.place
                order by
                    p.size is null,
                    (p.trend <> '*')::integer + (p.volatility <> '*')::integer
                        + (p.liquidity <> '*')::integer desc,
                    p.trend = '*',
                    p.volatility = '*'
            ) as rank,
            min(p.size_cap) over (partition by w.place) as cap
        from word as w
        join regimes.dim_regime_policies as p
            on p.trend in ('*', w.trend)
            and p.volatility in ('*', w.volatility)
            and p.liquidity in ('*', w.liquidity)
        where not w.is_unknown
    ),

    layer as (
        select w.place, least(m.size, m.cap) as size, m.stop, m.setups
        from word as w
        left join matched as m on m.place = w.place and m.rank = 1 and m.size is not null
    ),

    whole as (
        select
            case when bool_and(l.size is not null) then min(l.size) end as size,
            case when bool_and(l.size is not null) then max(l.stop) end as stop,
            array(
                select s.setup
                from layer as a
                cross join lateral (select distinct u.setup from unnest(a.setups) as u (setup)) as s
                group by s.setup
                having count(*) = cardinality(p_keys)
                order by s.setup
            ) as setups
        from layer as l
    )

    select h.size, h.stop, h.setups, h.setups = '{}'
    from whole as h;
end
$$;

comment on function regimes.policy(text[]) is
    'Size, stop and setups that the policies allow for these regimes together, and whether to stand down.';
