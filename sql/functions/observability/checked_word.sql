-- observability.checked_word(p_what, p_word, p_allowed): the word itself, refused unless it is allowed.
--
--     select observability.checked_word('severity', 'warning', '{info,warning,critical}');

create or replace function observability.checked_word(p_what text, p_word text, p_allowed text[])
returns text
language plpgsql
immutable parallel safe
as $$
begin
    if p_word = any (p_allowed) then
        return p_word;
    end if;
    raise exception '% is none of %', p_what, array_to_string(p_allowed, ', ')
        using errcode = 'TA713',
              detail = format('Given is %L.', left(p_word, 100)),
              hint = format('Use one of %s.', array_to_string(p_allowed, ', '));
end
$$;

comment on function observability.checked_word(text, text, text[]) is
    'The given word; raises TA713 unless it is one of those allowed.';

grant execute on function observability.checked_word(text, text, text[]) to ta_lab2_research;
