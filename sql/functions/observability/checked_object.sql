-- observability.checked_object(p_what, p_object): the JSON object itself, null as {}, refused if it is none.
--
--     select observability.checked_object('metadata', '{"rows": 3}');

create or replace function observability.checked_object(p_what text, p_object jsonb)
returns jsonb
language plpgsql
immutable parallel safe
as $$
begin
    if p_object is null then
        return '{}'::jsonb;
    end if;
    if jsonb_typeof(p_object) = 'object' then
        return p_object;
    end if;
    raise exception '% must be a JSON object', p_what
        using errcode = 'TA714',
              detail = format('Given is %s.', left(p_object::text, 200)),
              hint = 'Give names and values: {"id": 1}.';
end
$$;

comment on function observability.checked_object(text, jsonb) is
    'The given JSON object, {} for null; raises TA714 for any other JSON.';

grant execute on function observability.checked_object(text, jsonb) to ta_lab2_research;
