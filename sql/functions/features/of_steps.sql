-- features.of_steps(p_fingerprints, p_steps): the fingerprints of the steps that a refresh is to run, as an object; all of them by default.
--
--     select features.of_steps(features.fingerprints(), '{returns,volatility}');
--
-- A refresh runs the computations whose fingerprints it is given. Those that are left out keep their
-- rows, their progress and their dirty ranges, so they are due as before.

create or replace function features.of_steps(p_fingerprints jsonb, p_steps text[])
returns jsonb
language plpgsql
immutable parallel safe
as $$
declare
    v_unknown text;
begin
    if p_steps is null then
        return p_fingerprints;
    end if;
    select string_agg(coalesce(s.step, 'null'), ', ')
    into v_unknown
    from unnest(p_steps) as s (step)
    where p_fingerprints -> s.step is null;
    if v_unknown is not null or p_steps = '{}' then
        raise exception 'no step is called %', coalesce(v_unknown, 'by an empty list')
            using errcode = 'TA418',
                  detail = format(
                      'The steps are %s.',
                      (select string_agg(k.step, ', ' order by k.step) from jsonb_object_keys(p_fingerprints) as k (step))
                  ),
                  hint = 'select feature_type from features.computations() lists them in the order in which they run.';
    end if;
    return (
        select jsonb_object_agg(f.key, f.value)
        from jsonb_each(p_fingerprints) as f
        where f.key = any (p_steps)
    );
end
$$;

comment on function features.of_steps(jsonb, text[]) is
    'Fingerprints of the named steps; an error that lists them when one is unknown.';
