-- bars.undo_load(p_load): take a load back through the revision log, as how many candles went and came back.
--
--     select * from bars.undo_load('6f1c0d6e-9d4a-4b0e-8f3e-2b8a4c1d7e55');
--
-- Candles that the load added are deleted, those that it revised get their earlier values, and the
-- asset its earlier source. That is a change like any other: logged, and known from now on.
-- Where a later change stands on the load's candles it is refused; a change that was itself taken
-- back does not count. What the load rejected stays in price_rejects.
-- Earlier versions of intraday candles are not kept: a load of those can be taken back while it only
-- added candles, and all of them stand as it wrote them.
--
-- requires: functions/bars/price_moment.sql

create or replace function bars._check_undo(p_load uuid, p_id integer, p_at timestamptz)
returns void
language plpgsql
stable parallel safe
set enable_nestloop = off
as $$
declare
    v_candles bigint;
    v_load    uuid;
    v_file    text;
begin
    -- What the load wrote and what no longer stands: replaced, and not by the same values again.
    with gone as (
        select r.ts
        from bars.price_revisions as r
        left join bars.cmc_price_histories7 as p on p.id = p_id and p.ts = r.ts
        where r.id = p_id
          and r.recorded_at = p_at
          and row (
              p.open, p.high, p.low, p.close, p.volume, p.market_cap, p.time_high, p.time_low
          ) is distinct from row (
              r.open, r.high, r.low, r.close, r.volume, r.market_cap, r.time_high, r.time_low
          )
    ), builder as (
        select l.load, l.file
        from bars.loads as l
        where l.id = p_id
          and l.load <> p_load
          and l.undone_at is null
          and (
              l.recorded_at = p_at
              or l.recorded_at in (
                  select r.superseded_at
                  from bars.price_revisions as r
                  join gone as g on g.ts = r.ts
                  where r.id = p_id and r.superseded_at > p_at
              )
          )
        order by l.recorded_at desc, l.finished_at desc
        limit 1
    )
    select (select count(*) from gone), b.load, b.file
    into v_candles, v_load, v_file
    from (values (null)) as one (row)
    left join builder as b on true;
    if v_load is not null and v_candles = 0 then
        raise exception 'load % cannot be taken back alone', p_load
            using errcode = 'TA209',
                  detail = format('Load %s, of %s, belongs to the same transaction.', v_load, v_file),
                  hint = 'Delete its candles, or load the file that has the right ones.';
    end if;
    if v_load is not null then
        raise exception 'load % cannot be taken back before load %', p_load, v_load
            using errcode = 'TA209',
                  detail = format('That one, of %s, changed candles of it; %s stand no more.', v_file, v_candles),
                  hint = format('`ta-lab2 ingest --undo %s` takes that one back first.', v_load);
    end if;
    if v_candles > 0 then
        raise exception 'load % cannot be taken back: its candles were changed later', p_load
            using errcode = 'TA209',
                  detail = format('%s of them, by a change that was no load.', v_candles),
                  hint = format('`select * from price_revisions where id = %s and recorded_at = %L` lists them.', p_id, p_at);
    end if;
end
$$;

comment on function bars._check_undo(uuid, integer, timestamptz) is
    'Private: raises TA209 where a later change stands on what a load wrote.';

create or replace function bars._undo_intraday(p_load bars.loads)
returns bigint
language plpgsql
volatile parallel unsafe
as $$
declare
    v_removed bigint;
begin
    if p_load.revised > 0 then
        raise exception 'load % cannot be taken back: it revised intraday candles', p_load.load
            using errcode = 'TA243',
                  detail = format('%s of them; the values they had before are not kept.', p_load.revised),
                  hint = 'Load the file that has the right ones.';
    end if;
    delete from bars.intraday_candles as c
    where c.id = p_load.id
      and c.resolution = p_load.resolution
      and c.recorded_at = p_load.recorded_at;
    get diagnostics v_removed = row_count;
    if v_removed < p_load.loaded then
        raise exception 'load % cannot be taken back: its candles were changed later', p_load.load
            using errcode = 'TA209',
                  detail = format('%s of %s stand no more.', p_load.loaded - v_removed, p_load.loaded),
                  hint = 'Load the file that has the right ones.';
    end if;
    return v_removed;
end
$$;

comment on function bars._undo_intraday(bars.loads) is
    'Private: deletes the intraday candles that a load added; raises TA209 or TA243 where more is to be undone.';

create or replace function bars.undo_load(p_load uuid)
returns table (removed bigint, restored bigint)
language plpgsql
volatile parallel unsafe
set enable_nestloop = off
as $$
declare
    v_load bars.loads;
begin
    -- The same lock, in the same order, as a load.
    lock table bars.dim_assets in share row exclusive mode;
    select l.* into v_load from bars.loads as l where l.load = p_load for update;
    if not found then
        raise exception 'there is no load %', p_load
            using errcode = 'TA207',
                  detail = format('Of %s that are known.', (select count(*) from bars.loads)),
                  hint = '`select load, file, started_at from loads order by started_at` lists them.';
    end if;
    if v_load.undone_at is not null then
        raise exception 'load % was taken back before', p_load
            using errcode = 'TA208',
                  detail = format('At %s.', v_load.undone_at),
                  hint = 'Load its file again to have its candles back.';
    end if;
    removed := 0;
    restored := 0;
    if v_load.resolution is not null and v_load.recorded_at is not null then
        removed := bars._undo_intraday(v_load);
    elsif v_load.recorded_at is not null then
        perform bars.price_moment(v_load.id);
        perform bars._check_undo(p_load, v_load.id, v_load.recorded_at);
        delete from bars.cmc_price_histories7 as p
        where p.id = v_load.id
          and p.ts in (
              select w.ts
              from bars.cmc_price_histories7 as w
              where w.id = v_load.id and w.recorded_at = v_load.recorded_at
              union all
              select r.ts
              from bars.price_revisions as r
              where r.id = v_load.id and r.recorded_at = v_load.recorded_at
              except
              select r.ts
              from bars.price_revisions as r
              where r.id = v_load.id and r.superseded_at = v_load.recorded_at
          );
        get diagnostics removed = row_count;
        insert into bars.cmc_price_histories7 as p (
            id, ts, open, high, low, close, volume, market_cap, time_high, time_low
        )
        select
            r.id, r.ts, r.open, r.high, r.low, r.close, r.volume, r.market_cap, r.time_high, r.time_low
        from bars.price_revisions as r
        where r.id = v_load.id and r.superseded_at = v_load.recorded_at
        on conflict (id, ts) do update
        set open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume,
            market_cap = excluded.market_cap,
            time_high = excluded.time_high,
            time_low = excluded.time_low;
        get diagnostics restored = row_count;
    end if;
    -- Only the load that made its source the asset's takes it along, unless others followed.
    if v_load.source_before is distinct from v_load.source and not exists (
        select
        from bars.loads as l
        where l.id = v_load.id
          and l.resolution is not distinct from v_load.resolution
          and l.source = v_load.source
          and l.load <> p_load
          and l.undone_at is null
          and l.loaded + l.unchanged + l.revised > 0
    ) then
        update bars.price_state as t
        set source = v_load.source_before
        where v_load.resolution is null
          and t.id = v_load.id
          and t.source = v_load.source;
        update bars.intraday_state as t
        set source = v_load.source_before
        where t.id = v_load.id
          and t.resolution = v_load.resolution
          and t.source = v_load.source;
    end if;
    update bars.loads as l set undone_at = now() where l.load = p_load;
    return next;
end
$$;

comment on function bars.undo_load(uuid) is
    'Takes a load back: the number of candles removed, and of those with their earlier values again.';
