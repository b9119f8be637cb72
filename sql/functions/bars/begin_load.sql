-- bars.begin_load(p_load, p_file, p_id, p_source, p_sha256, p_switch, p_resolution): open the record of a load, as whose prices they are.
--
--     select * from bars.begin_load(:load, '/data/1_bitcoin.csv', 1, 'coinmarketcap', null, false);
--
-- source_before: where the series' candles come from, null before the first. is_own: this load may
-- write all of them. is_same_unit: its volumes count the same as those that are stored.
-- A series is an asset's daily candles, or those of one resolution.

create or replace function bars._register_asset(
    p_id integer,
    p_slug text,
    p_session text
)
returns timemodel.dim_sessions
language plpgsql
volatile parallel unsafe
as $$
declare
    v_id      integer;
    v_slug    text;
    v_known   text;
    v_session timemodel.dim_sessions;
begin
    -- A new partition of the candles takes this lock for its foreign key. Taken first,
    -- two loads follow each other; taken on the way, they would deadlock.
    lock table bars.dim_assets in share row exclusive mode;
    select a.id, a.slug
    into v_id, v_slug
    from bars.dim_assets as a
    where (a.id = p_id) <> (a.slug = p_slug)
    limit 1;
    if found then
        raise exception 'asset % is not %', p_id, p_slug
            using errcode = 'TA201',
                  detail = format('The database knows %s as asset %s.', v_slug, v_id),
                  hint = 'Correct the file''s name, <CoinMarketCap id>_<slug>.csv, or the slug in dim_assets.';
    end if;
    select a.session_id into v_known from bars.dim_assets as a where a.id = p_id;
    v_session := timemodel.session(coalesce(p_session, v_known, 'CRYPTO'));
    -- Nobody else writes it meanwhile. A statement that writes nothing would still run the triggers.
    if v_known is null then
        insert into bars.dim_assets (id, symbol, slug, session_id)
        values (p_id, p_slug, p_slug, v_session.session_id);
    elsif v_known <> v_session.session_id then
        update bars.dim_assets as a
        set session_id = v_session.session_id
        where a.id = p_id;
    end if;
    if not v_session.is_24_7 then
        -- Its calendar stays as it is until these candles are committed.
        select s.*
        into v_session
        from timemodel.dim_sessions as s
        where s.session_id = v_session.session_id
        for share;
    end if;
    return v_session;
end
$$;

comment on function bars._register_asset(integer, text, text) is
    'Private: makes the asset if it is new, and holds off other loads until the transaction ends; its session.';

create or replace function bars._check_source(p_source text)
returns void
language plpgsql
stable parallel safe
as $$
begin
    if not exists (select from bars.dim_sources as d where d.source = p_source) then
        raise exception 'there is no source %', p_source
            using errcode = 'TA206',
                  detail = format(
                      'Known are %s.',
                      (select string_agg(d.source, ', ' order by d.source) from bars.dim_sources as d)
                  ),
                  hint = 'A new one is an insert into dim_sources: its name, and whether a volume of it'
                      ' counts base (units of the asset) or quote (US dollars).';
    end if;
end
$$;

comment on function bars._check_source(text) is
    'Private: raises TA206 unless a source of that name is known.';

create or replace function bars.begin_load(
    p_load uuid,
    p_file text,
    p_id integer,
    p_source text,
    p_sha256 text,
    p_switch boolean,
    p_resolution interval default null
)
returns table (source_before text, is_own boolean, is_same_unit boolean)
language plpgsql
volatile parallel unsafe
as $$
begin
    perform bars._check_source(p_source);
    if p_resolution is null then
        select t.source into source_before from bars.price_state as t where t.id = p_id;
    else
        select t.source
        into source_before
        from bars.intraday_state as t
        where t.id = p_id
          and t.resolution = p_resolution;
    end if;
    is_own := source_before is null or source_before = p_source or p_switch;
    is_same_unit := source_before is null or source_before = p_source or (
        select count(distinct d.volume_unit) = 1
        from bars.dim_sources as d
        where d.source in (source_before, p_source)
    );
    insert into bars.loads as l (load, file, sha256, source, id, resolution, source_before)
    values (p_load, p_file, p_sha256, p_source, p_id, p_resolution, begin_load.source_before);
    return next;
end
$$;

comment on function bars.begin_load(uuid, text, integer, text, text, boolean, interval) is
    'Writes a load down as begun, and says how its source compares with that of the candles.';
