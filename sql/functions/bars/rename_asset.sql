-- bars.rename_asset(p_id, p_symbol, p_slug): give an asset another ticker or another slug, as nothing.
--
--     select bars.rename_asset(3890, p_symbol => 'POL');
--
-- Null leaves a name as it is. A file with a newer ticker changes the ticker again.
--
-- requires: functions/bars/is_name.sql

create or replace function bars.rename_asset(p_id integer, p_symbol text, p_slug text)
returns void
language plpgsql
volatile parallel unsafe
as $$
declare
    v_other integer;
begin
    perform bars._check_name(p_symbol);
    perform bars._check_name(p_slug);
    select a.id into v_other from bars.dim_assets as a where a.slug = p_slug and a.id <> p_id;
    if found then
        raise exception 'the slug % is taken', p_slug
            using errcode = 'TA211',
                  detail = format('It is asset %s.', v_other),
                  hint = 'Choose another, or rename that asset first.';
    end if;
    update bars.dim_assets as a
    set symbol = coalesce(p_symbol, a.symbol),
        slug = coalesce(p_slug, a.slug)
    where a.id = p_id;
    if not found then
        raise exception 'there is no asset %', p_id
            using errcode = 'TA210',
                  detail = format('Of %s that are known.', (select count(*) from bars.dim_assets)),
                  hint = '`ta-lab2 assets list` lists them.';
    end if;
end
$$;

comment on function bars.rename_asset(integer, text, text) is
    'Changes the ticker or the slug of an asset, where they are given.';
