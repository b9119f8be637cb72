-- db.counted(p_count, p_what): a number of things as one says it, as text.
--
--     select db.counted(1, 'asset'), db.counted(16, 'asset');  -- 1 asset, 16 assets
--
-- For what a verb says while it works. p_what is the singular of a noun whose plural takes an s.

create or replace function db.counted(p_count bigint, p_what text)
returns text
language sql
immutable strict parallel safe
as $$
select p_count || ' ' || p_what || case when p_count = 1 then '' else 's' end
$$;

comment on function db.counted(bigint, text) is
    'How many of what, in the singular for 1: 1 asset, 2 assets.';
