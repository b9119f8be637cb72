-- features.chosen_indicators(p_words): the active indicators that words name, as their ids in order.
--
--     select features.chosen_indicators('{RSI,macd_hist_12_26_9}');
--
-- A word is a kind, which means all of its rows, or a column, which means its row with all outputs.
-- Capitals make no difference. One that names no active row of dim_indicators is refused.

create or replace function features.chosen_indicators(p_words text[])
returns integer[]
language plpgsql
stable parallel safe
as $$
declare
    v_unknown text;
begin
    select string_agg(coalesce(w.word, 'null'), ', ' order by w.place)
    into v_unknown
    from unnest(p_words) with ordinality as w (word, place)
    where not exists (
        select
        from features.dim_indicators as i
        where i.is_active
          and (i.kind = lower(w.word) or lower(w.word) = any (i.columns))
    );
    if v_unknown is not null or p_words = '{}' then
        raise exception 'no active indicator is called %', coalesce(v_unknown, 'by an empty list')
            using errcode = 'TA421',
                  detail = (
                      select format(
                          'The kinds are %s; their columns %s.',
                          string_agg(distinct i.kind, ', '),
                          string_agg(array_to_string(i.columns, ', '), ', ' order by i.indicator_id)
                      )
                      from features.dim_indicators as i
                      where i.is_active
                  ),
                  hint = 'dim_indicators has a row for each: insert it there, or set its is_active to true.';
    end if;
    return array(
        select i.indicator_id
        from features.dim_indicators as i
        where i.is_active
          and exists (
              select
              from unnest(p_words) as w (word)
              where i.kind = lower(w.word)
                 or lower(w.word) = any (i.columns)
          )
        order by i.indicator_id
    );
end
$$;

comment on function features.chosen_indicators(text[]) is
    'Ids of the active rows of dim_indicators that kinds or columns name; an error that lists both when one is unknown.';
