-- bars.set_session(p_id, p_session_id): say when an asset's market is open, as nothing.
--
--     select bars.set_session(5, 'EQUITY');
--
-- For an asset without candles; one that has some is refused by refuse_to_reclassify().
--
-- requires: functions/bars/refuse_to_reclassify.sql, functions/timemodel/session.sql

create or replace function bars.set_session(p_id integer, p_session_id text)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    -- The same lock, in the same order, as a load.
    lock table bars.dim_assets in share row exclusive mode;
    if not exists (select from bars.dim_assets as a where a.id = p_id) then
        raise exception 'there is no asset %', p_id
            using errcode = 'TA210',
                  detail = format('Of %s that are known.', (select count(*) from bars.dim_assets)),
                  hint = '`ta-lab2 assets list` lists them.';
    end if;
    update bars.dim_assets as a
    set session_id = s.session_id
    from timemodel.session(p_session_id) as s
    where a.id = p_id
      and a.session_id <> s.session_id;
end
$$;

comment on function bars.set_session(integer, text) is
    'Gives an asset without candles another session.';
