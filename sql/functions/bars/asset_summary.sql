-- bars.asset_summary(p_id): what is stored of each asset and where it comes from, as one row per asset.
--
--     select * from bars.asset_summary();
--
-- Assets without candles are there too. plpgsql, to see partitions made in the same transaction.

create or replace function bars.asset_summary(p_id integer default null)
returns table (
    id          integer,
    symbol      text,
    slug        text,
    session_id  text,
    source      text,
    candles     bigint,
    first_day   date,
    last_day    date,
    revisions   bigint,
    loads       bigint,
    recorded_at timestamptz
)
language plpgsql
stable parallel safe
as $$
begin
    return query
    select
        a.id, a.symbol, a.slug, a.session_id, t.source, c.candles, c.first_day, c.last_day,
        (select count(*) from bars.price_revisions as r where r.id = a.id),
        (select count(*) from bars.loads as l where l.id = a.id),
        t.recorded_at
    from bars.dim_assets as a
    join timemodel.dim_sessions as s on s.session_id = a.session_id
    left join bars.price_state as t on t.id = a.id
    cross join lateral (
        select
            count(*) as candles,
            min((p.ts at time zone s.timezone)::date) as first_day,
            max((p.ts at time zone s.timezone)::date) as last_day
        from bars.cmc_price_histories7 as p
        where p.id = a.id
    ) as c
    where p_id is null or a.id = p_id
    order by a.id;
end
$$;

comment on function bars.asset_summary(integer) is
    'Name, session, source and range of each asset, how many versions were replaced, and the last change.';
