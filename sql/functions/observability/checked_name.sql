-- observability.checked_name(p_what, p_name): the name itself, refused unless it is dotted lower case.
--
--     select observability.checked_name('metric name', 'refresh_features.run.seconds');

create or replace function observability.checked_name(p_what text, p_name text)
returns text
language plpgsql
immutable parallel safe
as $$
begin
    if p_name ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$' and length(p_name) <= 200 then
        return p_name;
    end if;
    raise exception '% is not a name', p_what
        using errcode = 'TA712',
              detail = format('Given is %L.', left(p_name, 200)),
              hint = 'Use lower case words with dots between them, 200 characters at most:'
                  ' refresh_features.run.seconds.';
end
$$;

comment on function observability.checked_name(text, text) is
    'The given name; raises TA712 unless it is dotted lower case.';

grant execute on function observability.checked_name(text, text) to ta_lab2_research;
