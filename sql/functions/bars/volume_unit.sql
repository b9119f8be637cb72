-- bars.volume_unit(p_id): what the volumes of an asset's daily candles count, as a word.
--
--     select bars.volume_unit(1);   -- base: units of the asset, quote: US dollars
--
-- That of the source that the candles come from. Null without candles, or where their source is not known.

create or replace function bars.volume_unit(p_id integer)
returns text
language plpgsql
stable parallel safe
as $$
begin
    return (
        select d.volume_unit
        from bars.price_state as t
        join bars.dim_sources as d on d.source = t.source
        where t.id = p_id
    );
end
$$;

comment on function bars.volume_unit(integer) is
    'base or quote, as the source of an asset''s daily candles counts volumes; null where there is none.';
