-- bars.delete_prices(p_id): take all candles of an asset out, daily and intraday, as how many there were.
--
--     select bars.delete_prices(1);
--
-- Through the revision log: prices_as_of still knows them, and what is computed from them follows
-- at the next refresh. The asset keeps its row; it has no source any more. Intraday candles have no
-- revision log: those are gone.

create or replace function bars.delete_prices(p_id integer)
returns bigint
language plpgsql
volatile parallel unsafe
as $$
declare
    v_candles  bigint;
    v_intraday bigint;
begin
    -- The same lock, in the same order, as a load.
    lock table bars.dim_assets in share row exclusive mode;
    if not exists (select from bars.dim_assets as a where a.id = p_id) then
        raise exception 'there is no asset %', p_id
            using errcode = 'TA210',
                  detail = format('Of %s that are known.', (select count(*) from bars.dim_assets)),
                  hint = '`ta-lab2 assets list` lists them.';
    end if;
    delete from bars.cmc_price_histories7 as p where p.id = p_id;
    get diagnostics v_candles = row_count;
    update bars.price_state as t set source = null where t.id = p_id and t.source is not null;
    delete from bars.intraday_candles as c where c.id = p_id;
    get diagnostics v_intraday = row_count;
    update bars.intraday_state as t set source = null where t.id = p_id and t.source is not null;
    return v_candles + v_intraday;
end
$$;

comment on function bars.delete_prices(integer) is
    'Deletes every candle of an asset, of which the revision log keeps the daily ones; the number of candles.';
