-- features.replace_rows(p_target, p_id|p_stale_ids, [p_stale_tf_ids,] p_stale, p_packed): put packed rows where stale ones are, as void.
--
--     perform features.replace_rows('features.cmc_returns_daily', k.stale_ids, k.stale, k.packed);
--     perform features.replace_rows('features.cmc_ema_multi_tf', stale_ids, stale_tf_ids, stale, packed);
--
-- The way out of every kernel: a row that changed is among the stale keys and the packed rows,
-- one that is new or gone in one of them. COPY has no conflict clause, so the stale go first.
--
-- requires: functions/features/copy_in.sql

create or replace function features.replace_rows(
    p_target regclass,
    p_id integer,
    p_stale timestamptz[],
    p_packed bytea
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    if p_stale <> '{}' then
        execute format('delete from %s as r where r.id = $1 and r.ts = any ($2)', p_target)
        using p_id, p_stale;
    end if;
    if p_packed <> '' then
        perform features.copy_in(p_target, p_packed);
    end if;
end
$$;

comment on function features.replace_rows(regclass, integer, timestamptz[], bytea) is
    'Deletes the rows of one asset with the stale keys and appends the packed ones.';

create or replace function features.replace_rows(
    p_target regclass,
    p_stale_ids integer[],
    p_stale timestamptz[],
    p_packed bytea
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    if p_stale <> '{}' then
        execute format(
            'delete from %s as r using unnest($1, $2) as s (id, ts) where r.id = s.id and r.ts = s.ts',
            p_target
        )
        using p_stale_ids, p_stale;
    end if;
    if p_packed <> '' then
        perform features.copy_in(p_target, p_packed);
    end if;
end
$$;

comment on function features.replace_rows(regclass, integer[], timestamptz[], bytea) is
    'Deletes the rows with the stale keys of asset and ts, and appends the packed ones.';

create or replace function features.replace_rows(
    p_target regclass,
    p_stale_ids integer[],
    p_stale_tf_ids integer[],
    p_stale timestamptz[],
    p_packed bytea
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    if p_stale <> '{}' then
        execute format(
            'delete from %s as r'
            ' using unnest($1, $2, $3) as s (id, tf_id, time_close)'
            ' where r.id = s.id and r.tf_id = s.tf_id and r.time_close = s.time_close',
            p_target
        )
        using p_stale_ids, p_stale_tf_ids, p_stale;
    end if;
    if p_packed <> '' then
        perform features.copy_in(p_target, p_packed);
    end if;
end
$$;

comment on function features.replace_rows(regclass, integer[], integer[], timestamptz[], bytea) is
    'Deletes the rows with the stale keys of asset, timeframe and time_close, and appends the packed ones.';
