-- bars.staged_lines(p_load): the lines of a load in their cells, as one row per line.
--
--     select l.line, l.day, l.close from bars.staged_lines(:load) as l order by l.line;
--
-- A row of price_staging with a header holds whole lines, which are split here, at every delimiter;
-- the header names the column of each cell, null: not read. A client stages so what has neither
-- quotes nor a wrong number of cells. Any other row is one line in its cells, or with its fault.

-- Looking before reading reads a text twice. Of a load nearly every text is a number: who trusts it
-- gets an error of class 22 where one isn't, and reads again without trust. What is written in
-- hexadecimal is none, though PostgreSQL would take it: no exchange gives a price so. A load that may
-- have such a text is not to be trusted.
create or replace function bars._number(p_text text, p_trusts boolean)
returns double precision
language sql
stable parallel safe
as $$
select case
    when p_trusts then nullif(p_text, '')::double precision
    when p_text ~ '[xX]' then null
    when pg_input_is_valid(p_text, 'double precision') then nullif(p_text, '')::double precision
end
$$;

comment on function bars._number(text, boolean) is
    'Private: the text as a number, null when it is empty or, without trust, none; an error with trust.';

create or replace function bars._may_be_trusted(p_load uuid)
returns boolean
language sql
stable parallel safe
as $$
select not exists (
    select
    from bars.price_staging as s
    where s.load = p_load
      and (strpos(s.raw, '0x') > 0 or strpos(s.raw, '0X') > 0)
)
$$;

comment on function bars._may_be_trusted(uuid) is
    'Private: whether no staged line has what would be read as a number in hexadecimal.';

create or replace function bars._number(p_text text)
returns double precision
language sql
stable parallel safe
as $$
select bars._number(p_text, false)
$$;

comment on function bars._number(text) is
    'Private: the text as a number, null when it is none.';

create or replace function bars._stamp(p_text text)
returns timestamptz
language sql
stable parallel safe
as $$
-- The pattern keeps out what a timestamp also understands: now, infinity, 1/2/2020, and the ends of
-- a day that are the begin of the next, 24:00 and 23:59:60.
select case
    when p_text ~ '^\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?(Z|\+00:00)?$'
        and pg_input_is_valid(left(p_text, 10), 'date')
        and pg_input_is_valid(regexp_replace(p_text, '(Z|\+00:00)$', ''), 'timestamp')
    then regexp_replace(p_text, '(Z|\+00:00)$', '')::timestamp at time zone 'UTC'
    -- Since 1970, from 1973 to 2286: there the digits tell seconds, milli- and microseconds apart,
    -- and a date without hyphens is none of them.
    when p_text ~ '^[1-9](\d{8,9}|\d{11,12}|\d{14,15})(\.0+)?$'
    then timestamptz 'epoch' + case
        when split_part(p_text, '.', 1)::bigint < 1e10
        then split_part(p_text, '.', 1)::bigint * interval '1 second'
        when split_part(p_text, '.', 1)::bigint < 1e13
        then split_part(p_text, '.', 1)::bigint * interval '1 millisecond'
        -- An interval is multiplied as a double: from 2255 on it has no room for every microsecond.
        else split_part(p_text, '.', 1)::bigint / 1000000 * interval '1 second'
            + split_part(p_text, '.', 1)::bigint % 1000000 * interval '1 microsecond'
    end
end
$$;

comment on function bars._stamp(text) is
    'Private: an ISO 8601 date or time in UTC, or a time since 1970; null when the text is none.';

create or replace function bars._day(p_text text, p_trusts boolean)
returns date
language sql
stable parallel safe
as $$
-- Nearly always it is a date as the database writes it, which is fast to see.
select case
    when p_text like '____-__-__'
        and (p_trusts or pg_input_is_valid(p_text, 'date'))
        and p_text::date::text = p_text
    then p_text::date
    else (bars._stamp(p_text) at time zone 'UTC')::date
end
$$;

comment on function bars._day(text, boolean) is
    'Private: the date that the text names, or on which it lies in UTC; null, or with trust an error, when it is none.';

create or replace function bars._day(p_text text)
returns date
language sql
stable parallel safe
as $$
select bars._day(p_text, false)
$$;

comment on function bars._day(text) is
    'Private: the date that the text names, or on which it lies in UTC; null when it is no date or time.';

create or replace function bars.staged_lines(p_load uuid)
returns table (
    line       integer,
    raw        text,
    fault      text,
    day        text,
    ticker     text,
    quote      text,
    open       text,
    high       text,
    low        text,
    close      text,
    volume     text,
    market_cap text,
    time_high  text,
    time_low   text
)
language sql
stable parallel safe
as $$
select
    b.line + l.place::integer - 1, l.raw, null::text,
    l.cells[b.day], l.cells[b.ticker], l.cells[b.quote],
    l.cells[b.open], l.cells[b.high], l.cells[b.low], l.cells[b.close],
    l.cells[b.volume], l.cells[b.market_cap], l.cells[b.time_high], l.cells[b.time_low]
from (
    select
        s.line, s.raw, s.delimiter,
        array_position(s.header, 'day') as day,
        array_position(s.header, 'ticker') as ticker,
        array_position(s.header, 'quote') as quote,
        array_position(s.header, 'open') as open,
        array_position(s.header, 'high') as high,
        array_position(s.header, 'low') as low,
        array_position(s.header, 'close') as close,
        array_position(s.header, 'volume') as volume,
        array_position(s.header, 'market_cap') as market_cap,
        array_position(s.header, 'time_high') as time_high,
        array_position(s.header, 'time_low') as time_low
    from bars.price_staging as s
    where s.load = p_load
      and s.header is not null
    -- Looks for each column once a row, and below splits each line once, not once for each cell.
    offset 0
) as b
cross join lateral (
    select t.raw, t.place, string_to_array(t.raw, b.delimiter) as cells
    from string_to_table(b.raw, E'\n') with ordinality as t (raw, place)
    offset 0
) as l
union all
select
    s.line, s.raw, s.fault, s.day, s.ticker, s.quote,
    s.open, s.high, s.low, s.close, s.volume, s.market_cap, s.time_high, s.time_low
from bars.price_staging as s
where s.load = p_load
  and s.header is null
$$;

comment on function bars.staged_lines(uuid) is
    'The staged lines of one load, split into the columns that they fill; in no order.';
