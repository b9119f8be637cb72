-- features.replace_rows(p_target, p_id, p_stale, p_packed): put packed rows where an asset's stale ones are, as void.
--
--     perform features.replace_rows('features.cmc_returns_daily', 1, k.stale, k.packed);
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
