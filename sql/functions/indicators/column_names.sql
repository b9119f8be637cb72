-- indicators.column_names(p_kind, p_params): what the outputs of an indicator are called in a table, as an array.
--
--     select indicators.column_names('bollinger', '{"period": 20, "deviations": 2.5}');
--
-- One name for each output, in the kernel's order. A decimal point is written p: bb_upper_20_2p5.
--
-- requires: functions/indicators/parameters.sql

create or replace function indicators.column_names(p_kind text, p_params jsonb default '{}')
returns text[]
language plpgsql
immutable parallel safe
as $$
declare
    v_params jsonb := indicators.parameters(p_kind, p_params);
    v_names  text[];
    v_name   text;
    v_value  text;
begin
    select k.columns into v_names from indicators.kinds() as k where k.kind = p_kind;
    for v_name, v_value in select p.key, p.value from jsonb_each_text(v_params) as p
    loop
        select array_agg(
            replace(n.name, '{' || v_name || '}', replace(v_value, '.', 'p')) order by n.place
        )
        into v_names
        from unnest(v_names) with ordinality as n (name, place);
    end loop;
    return v_names;
end
$$;

comment on function indicators.column_names(text, jsonb) is
    'Column names of an indicator with these parameters, one for each output.';
