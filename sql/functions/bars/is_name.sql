-- bars.is_name(p_text): whether a text can be an asset's ticker or slug, as a boolean.
--
--     select bars.is_name('BTC');   -- true
--
-- 1 to 100 letters that a terminal and a report can show in their place, without space around them:
-- no control characters, and nothing that is invisible or turns the direction of what follows.
-- Null is none.

create or replace function bars.is_name(p_text text)
returns boolean
language sql
immutable parallel safe
as $$
select coalesce(
    char_length(p_text) between 1 and 100
    and btrim(p_text) = p_text
    and p_text !~ '[\u0001-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]',
    false
)
$$;

comment on function bars.is_name(text) is
    'Whether a text has 1 to 100 letters, all of which can be shown, and no space around them.';

create or replace function bars._check_name(p_text text)
returns void
language plpgsql
immutable parallel safe
as $$
begin
    if p_text is not null and not bars.is_name(p_text) then
        raise exception '% is no name', to_json(left(p_text, 40))
            using errcode = 'TA213',
                  detail = format('It has %s letters.', char_length(p_text)),
                  hint = 'A name has 1 to 100 letters, all of which can be shown, and no space around them.';
    end if;
end
$$;

comment on function bars._check_name(text) is
    'Private: raises TA213 for a text that is no name; null is nothing to check.';
