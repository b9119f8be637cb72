-- bars.register_asset(p_id, p_slug, p_symbol, p_session_id): the asset that a file is of, as its slug.
--
--     select bars.register_asset(1000001, 'spy', p_symbol => 'SPY', p_session_id => 'EQUITY');
--
-- A new asset is made, with CRYPTO as its session unless another is named. Of one that is known nothing
-- is changed but a ticker that nobody has given yet; whatever contradicts it is an error.
--
-- requires: functions/bars/load_staged_prices.sql

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
    v_known  bars.dim_assets;
    v_is_new boolean;
    v_slug   text;
begin
    -- As _register_asset does: nobody makes the asset between the look and the insert.
    lock table bars.dim_assets in share row exclusive mode;
    select a.* into v_known from bars.dim_assets as a where a.id = p_id;
    v_is_new := not found;
    v_slug := coalesce(p_slug, v_known.slug, lower(p_symbol));
    if v_slug is null then
        raise exception 'there is no asset %', p_id
            using errcode = 'TA210',
                  detail = format('Of %s that are known.', (select count(*) from bars.dim_assets)),
                  hint = 'A new one needs a name: --slug, --symbol, or a file called <id>_<slug>.csv.';
    end if;
    perform bars._register_asset(p_id, v_slug, p_symbol);
    if p_session_id is not null and p_session_id is distinct from v_known.session_id then
        if not v_is_new then
            raise exception 'the session of asset % is %, not %',
                p_id, v_known.session_id, p_session_id
                using errcode = 'TA221',
                      detail = format('Asset %s is %s.', p_id, v_known.slug),
                      hint = 'Its candles are stamped by its session: leave --session away, or load'
                          ' these prices as another asset.';
        end if;
        if not exists (select from timemodel.dim_sessions as s where s.session_id = p_session_id) then
            raise exception 'there is no session %', p_session_id
                using errcode = 'TA222',
                      detail = format(
                          'Known are %s.',
                          (
                              select string_agg(s.session_id, ', ' order by s.session_id)
                              from timemodel.dim_sessions as s
                          )
                      ),
                      hint = 'A new one is an insert into dim_sessions.';
        end if;
        update bars.dim_assets as a set session_id = p_session_id where a.id = p_id;
    end if;
    if not v_is_new and p_symbol <> v_known.symbol then
        if v_known.symbol <> v_known.slug then
            raise exception 'the symbol of asset % is %, not %', p_id, v_known.symbol, p_symbol
                using errcode = 'TA201',
                      detail = format('Asset %s is %s.', p_id, v_known.slug),
                      hint = format(
                          'Leave --symbol away; `ta-lab2 assets rename %s` changes it.', p_id
                      );
        end if;
        update bars.dim_assets as a set symbol = p_symbol where a.id = p_id;
    end if;
    return v_slug;
end
$$;

comment on function bars.register_asset(integer, text, text, text) is
    'Makes the asset if it is new, refuses what contradicts a known one, and gives its slug.';
