-- signals.parameters(p_type, p_params): the parameters of a signal as they may be stored; an error that says what is wrong with them.
--
--     select signals.parameters('ema_crossover', '{"fast_period": 9, "slow_period": 21, "direction": "long"}');
--
-- Every key has to be one that the type knows, of its kind and in its range, and those without a default
-- have to be there. What is left out stays so. A number may be written with a fraction of zero.
--
-- requires: functions/signals/kinds.sql

create or replace function signals._fault(p_value jsonb, p_rule jsonb)
returns text
language plpgsql
immutable parallel safe
as $$
declare
    v_kind   text := p_rule ->> 'kind';
    v_type   text := jsonb_typeof(p_value);
    v_number numeric;
begin
    if v_type = 'null' and p_rule -> 'default' = 'null' then
        return null;
    elsif v_kind = 'direction' then
        return case when v_type <> 'string' or p_value #>> '{}' not in ('long', 'short', 'both')
            then 'long, short or both' end;
    elsif v_kind = 'boolean' then
        return case when v_type <> 'boolean' then 'true or false' end;
    elsif v_type = 'number' then
        v_number := p_value::numeric;
        if v_number between (p_rule ->> 'min')::numeric and (p_rule ->> 'max')::numeric
            and (v_kind = 'number' or trunc(v_number) = v_number)
        then
            return null;
        end if;
    end if;
    return format(
        '%s from %s to %s',
        case v_kind when 'integer' then 'a whole number' else 'a number' end, p_rule ->> 'min', p_rule ->> 'max'
    );
end
$$;

comment on function signals._fault(jsonb, jsonb) is
    'Private: what a parameter would have to be by its rule; null where it is.';

create or replace function signals.parameters(p_type text, p_params jsonb)
returns jsonb
language plpgsql
immutable parallel safe
as $$
declare
    v_rules jsonb;
    v_names text;
    v_found record;
begin
    select k.parameters into v_rules from signals.kinds() as k where k.signal_type = p_type;
    if not found then
        raise exception 'no signal is of the type %', coalesce(p_type, 'null')
            using errcode = 'TA501',
                  detail = format('The types are %s.', (select string_agg(k.signal_type, ', ') from signals.kinds() as k)),
                  hint = 'select * from signals.kinds() says what each is made with.';
    end if;
    if p_params is null or jsonb_typeof(p_params) <> 'object' then
        raise exception 'parameters are no object'
            using errcode = 'TA502',
                  detail = format('They are %s.', coalesce(p_params::text, 'null')),
                  hint = 'Write them like {"direction": "long"}.';
    end if;
    select string_agg(r.key, ', ' order by r.value ? 'default', r.key)
    into v_names
    from jsonb_each(v_rules) as r;

    select p.key
    into v_found
    from jsonb_object_keys(p_params) as p (key)
    where not v_rules ? p.key
    order by p.key
    limit 1;
    if found then
        raise exception '% has no parameter %', p_type, v_found.key
            using errcode = 'TA503',
                  detail = format('Its parameters are %s.', v_names),
                  hint = 'Correct its name, or leave it out.';
    end if;

    select string_agg(r.key, ', ' order by r.key) as keys
    into v_found
    from jsonb_each(v_rules) as r
    where not r.value ? 'default'
      and not p_params ? r.key;
    if v_found.keys is not null then
        raise exception '% lacks %', p_type, v_found.keys
            using errcode = 'TA504',
                  detail = format('Its parameters are %s.', v_names),
                  hint = 'select parameters from signals.kinds() says which may be left out.';
    end if;

    select p.key, p.value, f.wanted
    into v_found
    from jsonb_each(p_params) as p
    cross join lateral signals._fault(p.value, v_rules -> p.key) as f (wanted)
    where f.wanted is not null
    order by p.key
    limit 1;
    if found then
        raise exception '% of % can''t be %', v_found.key, p_type, v_found.value
            using errcode = 'TA505',
                  detail = format('It has to be %s.', v_found.wanted),
                  hint = 'Correct it.';
    end if;

    select r.key, r.value ->> 'below' as other
    into v_found
    from jsonb_each(v_rules) as r
    where r.value ? 'below'
      and (p_params -> r.key)::numeric >= (p_params -> (r.value ->> 'below'))::numeric;
    if found then
        raise exception '% of % has to be less than %', v_found.key, p_type, v_found.other
            using errcode = 'TA506',
                  detail = format(
                      '%s is %s, %s is %s.',
                      v_found.key, p_params -> v_found.key, v_found.other, p_params -> v_found.other
                  ),
                  hint = 'Correct one of them.';
    end if;
    return p_params;
end
$$;

comment on function signals.parameters(text, jsonb) is
    'The parameters, if they are those of a signal of the type: known, whole, in range and in order.';
