-- timemodel.timeframe(p_tf, p_tf_id): the row of a timeframe, by its name or its number.
--
--     select t.tf_id, t.label from timemodel.timeframe('1W_CAL_ISO') as t;
--     select t.tf from timemodel.timeframe(p_tf_id => 158) as t;
--
-- One that does not exist is an error, never a null.

create or replace function timemodel.timeframe(p_tf text default null, p_tf_id integer default null)
returns timemodel.dim_timeframe
language plpgsql
stable parallel safe
as $$
declare
    v_timeframe timemodel.dim_timeframe;
begin
    select t.*
    into v_timeframe
    from timemodel.dim_timeframe as t
    where t.tf = p_tf or t.tf_id = p_tf_id;
    if not found then
        raise exception 'there is no timeframe %', coalesce(p_tf, p_tf_id::text, 'without a name')
            using errcode = 'TA108',
                  detail = format('Of %s that are known.', (select count(*) from timemodel.dim_timeframe)),
                  hint = '`select tf, label from dim_timeframe order by sort_order` lists them.';
    end if;
    return v_timeframe;
end
$$;

comment on function timemodel.timeframe(text, integer) is
    'The row of dim_timeframe with this name or number; an error when there is none.';

grant execute on function timemodel.timeframe(text, integer) to ta_lab2_research;
