-- features.assets_to_refresh(p_asset_ids, p_verb): the assets to refresh, in order; all of them by default.
--
--     select features.assets_to_refresh('{1,1027}');
--
-- Makes the missing rows of refresh_state, which are the locks. An unknown asset is refused
-- before anything is done: a mistyped id would otherwise pass for a refresh.

create or replace function features._known_assets(p_asset_ids integer[])
returns integer[]
language plpgsql
stable parallel unsafe
as $$
declare
    v_unknown integer[];
begin
    select array_agg(w.id order by w.id)
    into v_unknown
    from unnest(p_asset_ids) as w (id)
    where not exists (select from bars.dim_assets as a where a.id = w.id);
    if v_unknown is not null then
        raise exception 'no asset has the id %', array_to_string(v_unknown, ', ', 'null')
            using errcode = 'TA402',
                  hint = 'select * from dim_assets lists those that have prices.';
    end if;
    return (
        select coalesce(array_agg(a.id order by a.id), '{}')
        from bars.dim_assets as a
        where p_asset_ids is null or a.id = any (p_asset_ids)
    );
end
$$;

comment on function features._known_assets(integer[]) is
    'Private: the given assets, all by default, in ascending order; an error when one is unknown.';

create or replace function features.assets_to_refresh(
    p_asset_ids integer[] default null,
    p_verb text default 'refresh_features'
)
returns integer[]
language plpgsql
volatile parallel unsafe
as $$
declare
    v_ids integer[] := features._known_assets(p_asset_ids);
begin
    insert into features.refresh_state as s (id, verb)
    select w.id, p_verb
    from unnest(v_ids) as w (id)
    where not exists (
        select
        from features.refresh_state as s
        where s.id = w.id
          and s.verb = p_verb
    )
    on conflict (id, verb) do nothing;
    return v_ids;
end
$$;

comment on function features.assets_to_refresh(integer[], text) is
    'The given assets, all by default, in ascending order, each with the verb''s row in refresh_state.';
