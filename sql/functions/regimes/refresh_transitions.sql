-- regimes.refresh_transitions(p_id, p_from): bring the changes of one asset's regimes up to date, as what it did.
--
--     select d.rows_written from regimes.refresh_transitions(1, '-infinity') as d;
--
-- A step of features.refresh_asset, under refresh_regimes, after that of cmc_regimes_daily: its rows from p_from on
-- are compared with the one before each. Unknown is a label here: the end of a warm-up is a transition.

create or replace function regimes.refresh_transitions(p_id integer, p_from timestamptz)
returns table (
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language plpgsql
volatile parallel unsafe
as $$
declare
    v_start   timestamptz;
    v_found   bigint;
    v_come    bigint;
    v_gone    bigint;
begin
    select coalesce(max(r.ts), '-infinity')
    into v_start
    from regimes.cmc_regimes_daily as r
    where r.id = p_id
      and r.ts < p_from;

    with day as (
        select r.*, lag(r) over (order by r.ts) as before
        from regimes.cmc_regimes_daily as r
        where r.id = p_id
          and r.ts >= v_start
    ),

    found as (
        select d.ts, w.layer, w.dimension, d.available_at, w.from_label, w.to_label
        from day as d
        cross join lateral (
            values
                ('L0', 'trend', (d.before).l0_trend, d.l0_trend),
                ('L0', 'volatility', (d.before).l0_volatility, d.l0_volatility),
                ('L0', 'liquidity', (d.before).l0_liquidity, d.l0_liquidity),
                ('L1', 'trend', (d.before).l1_trend, d.l1_trend),
                ('L1', 'volatility', (d.before).l1_volatility, d.l1_volatility),
                ('L1', 'liquidity', (d.before).l1_liquidity, d.l1_liquidity),
                ('L2', 'trend', (d.before).l2_trend, d.l2_trend),
                ('L2', 'volatility', (d.before).l2_volatility, d.l2_volatility),
                ('L2', 'liquidity', (d.before).l2_liquidity, d.l2_liquidity)
        ) as w (layer, dimension, from_label, to_label)
        where d.ts >= p_from
          and w.from_label <> w.to_label
    ),

    gone as (
        delete from regimes.cmc_regime_transitions as t
        where t.id = p_id
          and t.ts >= p_from
          and not exists (
              select
              from found as f
              where f.ts = t.ts
                and f.layer = t.layer
                and f.dimension = t.dimension
          )
        returning 1
    ),

    come as (
        insert into regimes.cmc_regime_transitions as t (
            id, ts, layer, dimension, available_at, from_label, to_label
        )
        select p_id, f.ts, f.layer, f.dimension, f.available_at, f.from_label, f.to_label
        from found as f
        on conflict (id, ts, layer, dimension) do update
        set available_at = excluded.available_at,
            from_label = excluded.from_label,
            to_label = excluded.to_label
        where (t.available_at, t.from_label, t.to_label)
            is distinct from (excluded.available_at, excluded.from_label, excluded.to_label)
        returning 1
    )

    select
        (select count(*) from day),
        (select max(d.ts) from day as d),
        (select count(*) from found),
        (select count(*) from come),
        (select count(*) from gone)
    into rows_read, last_ts, v_found, v_come, v_gone;
    rows_written := v_come + v_gone;
    rows_unchanged := v_found - v_come;
    changed_from := p_from;
    state := null;
    return next;
end
$$;

comment on function regimes.refresh_transitions(integer, timestamptz) is
    'Brings cmc_regime_transitions up to date for one asset from a ts on; counts, range and progress for refresh_asset.';
