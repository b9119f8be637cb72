-- bars.register_asset(p_id, p_slug, p_symbol, p_session_id): the asset that a file is of, as its slug.
--
--     select bars.register_asset(1000001, 'spy', p_symbol => 'SPY', p_session_id => 'EQUITY');
--
-- A new asset is made, with CRYPTO as its session unless another is named. Of one that is known nothing
-- is changed but a ticker that nobody has given yet, and its session while it has no candles;
-- whatever contradicts it is an error.
--
-- requires: functions/bars/begin_load.sql, functions/bars/is_name.sql

create or replace function bars.register_asset(
    p_id integer,
    p_slug text default null,
    p_symbol text default null,
    p_session_id text default null
)
returns text
language plpgsql
volatile parallel unsafe
as $$
declare
    v_known bars.dim_assets;
    v_slug  text;
begin
    -- As _register_asset does: nobody makes the asset between the look and the insert.
    lock table bars.dim_assets in share row exclusive mode;
    select a.* into v_known from bars.dim_assets as a where a.id = p_id;
    v_slug := coalesce(p_slug, v_known.slug, lower(p_symbol));
    if v_slug is null then
        raise exception 'there is no asset %', p_id
            using errcode = 'TA210',
                  detail = format('Of %s that are known.', (select count(*) from bars.dim_assets)),
                  hint = 'A new one needs a name: --slug, --symbol, or a file called <id>_<slug>.csv.';
    end if;
    if v_known.id is null then
        perform bars._check_name(v_slug);
    end if;
    perform bars._check_name(p_symbol);
    perform bars._register_asset(p_id, v_slug, p_session_id);
    if p_symbol <> v_known.symbol and v_known.symbol <> v_known.slug then
        raise exception 'the symbol of asset % is %, not %', p_id, v_known.symbol, p_symbol
            using errcode = 'TA201',
                  detail = format('Asset %s is %s.', p_id, v_known.slug),
                  hint = format('Leave --symbol away; `ta-lab2 assets rename %s` changes it.', p_id);
    end if;
    if p_symbol <> coalesce(v_known.symbol, v_slug) then
        update bars.dim_assets as a
        set symbol = p_symbol
        where a.id = p_id;
    end if;
    return v_slug;
end
$$;

comment on function bars.register_asset(integer, text, text, text) is
    'Makes the asset if it is new, refuses what contradicts a known one, and gives its slug.';
