-- indicators.parameters(p_kind, p_given): all parameters of an indicator, checked, as a JSON object.
--
--     select indicators.parameters('macd', '{"fast": 8, "slow": 17}');
--
-- Those that are not given have their default. A whole number is written without decimals, so that equal
-- parameters are equal objects. What is no kind, no parameter of it, or out of range is refused.
--
-- requires: functions/indicators/kinds.sql

create or replace function indicators.parameters(p_kind text, p_given jsonb default '{}')
returns jsonb
language plpgsql
immutable parallel safe
as $$
declare
    v_known jsonb;
    v_name  text;
    v_rule  jsonb;
    v_value jsonb;
    v_found jsonb := jsonb_build_object();
    v_other text;
begin
    select k.parameters into v_known from indicators.kinds() as k where k.kind = p_kind;
    if v_known is null then
        raise exception 'there is no indicator %', coalesce('"' || p_kind || '"', 'null')
            using errcode = 'TA301',
                  hint = (
                      select 'Kinds are ' || string_agg(k.kind, ', ' order by k.kind) || '.'
                      from indicators.kinds() as k
                  );
    end if;
    if jsonb_typeof(p_given) is distinct from 'object' then
        raise exception 'the parameters of % are no object', p_kind
            using errcode = 'TA302',
                  detail = format('They are %s.', coalesce(p_given::text, 'null')),
                  hint = format('Write them as %s.', (
                      select jsonb_object_agg(r.key, r.value -> 'default')
                      from jsonb_each(v_known) as r
                  ));
    end if;
    for v_name in select g.key from jsonb_object_keys(p_given) as g (key) where not v_known ? g.key
    loop
        raise exception '% has no parameter "%"', p_kind, v_name
            using errcode = 'TA303',
                  hint = format('It has %s.', (
                      select string_agg(r.key, ', ' order by r.key)
                      from jsonb_object_keys(v_known) as r (key)
                  ));
    end loop;
    for v_name, v_rule in select r.key, r.value from jsonb_each(v_known) as r
    loop
        v_value := coalesce(p_given -> v_name, v_rule -> 'default');
        if jsonb_typeof(v_value) <> 'number'
            or not v_value::numeric between (v_rule ->> 'min')::numeric and (v_rule ->> 'max')::numeric
            or (v_rule ->> 'integer')::boolean and v_value::numeric <> trunc(v_value::numeric)
        then
            raise exception '% must be a % from % to % for %',
                v_name,
                case when (v_rule ->> 'integer')::boolean then 'whole number' else 'number' end,
                v_rule ->> 'min', v_rule ->> 'max', p_kind
                using errcode = 'TA304',
                      detail = format('It is %s.', v_value),
                      hint = format('The default is %s.', v_rule ->> 'default');
        end if;
        v_found := v_found || jsonb_build_object(v_name, trim_scale(v_value::numeric));
    end loop;
    for v_name, v_other in
        select r.key, r.value ->> 'below' from jsonb_each(v_known) as r where r.value ? 'below'
    loop
        if (v_found -> v_name)::numeric >= (v_found -> v_other)::numeric then
            raise exception '% must be less than % for %', v_name, v_other, p_kind
                using errcode = 'TA305',
                      detail = format(
                          '%s is %s, %s is %s.',
                          v_name, v_found ->> v_name, v_other, v_found ->> v_other
                      ),
                      hint = format('Give both %s and %s, or exchange them.', v_name, v_other);
        end if;
    end loop;
    return v_found;
end
$$;

comment on function indicators.parameters(text, jsonb) is
    'Every parameter of a kind: the given ones, checked against its ranges, and the defaults of the others.';
