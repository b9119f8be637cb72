-- features.check_indicator(): refuse a row of dim_indicators that cannot be, and name its columns, as a row trigger.
--
--     insert into dim_indicators (kind, params) values ('rsi', '{"period": 28}');
--
-- Parameters that are not given get their default. A row whose columns stand in cmc_ta_daily is in use:
-- it can be switched off and on, but neither changed nor deleted, because they carry its name.
-- One whose column the feature store has from elsewhere, such as ema_21, is refused: there it could not be told apart.
--
-- requires: functions/indicators/column_names.sql

create or replace function features.check_indicator()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
declare
    v_taken text;
begin
    if lower(tg_op) <> 'insert' and exists (
        select
        from pg_catalog.pg_attribute as a
        where a.attrelid = 'features.cmc_ta_daily'::regclass
          and not a.attisdropped
          and a.attname = any (old.columns)
    ) then
        if lower(tg_op) = 'delete' then
            raise exception 'the indicator % is in use and can''t be deleted', old.columns[1]
                using errcode = 'TA411',
                      detail = format('Its columns stand in cmc_ta_daily: %s.', array_to_string(old.columns, ', ')),
                      hint = format(
                          'update dim_indicators set is_active = false where indicator_id = %s stops it.',
                          old.indicator_id
                      );
        end if;
        if (new.indicator_id, new.kind, new.params, new.columns)
            is distinct from (old.indicator_id, old.kind, old.params, old.columns)
        then
            raise exception 'the indicator % is in use and can''t be changed', old.columns[1]
                using errcode = 'TA412',
                      detail = format('It is %s %s; its columns carry that.', old.kind, old.params),
                      hint = 'Insert a row with other parameters, and set is_active of this one to false.';
        end if;
        return new;
    end if;
    if lower(tg_op) = 'delete' then
        return old;
    end if;
    new.params := indicators.parameters(new.kind, new.params);
    new.columns := indicators.column_names(new.kind, new.params);
    select a.attname
    into v_taken
    from pg_catalog.pg_attribute as a
    where a.attrelid = 'features.cmc_daily_features'::regclass
      and a.attname = any (new.columns)
      and not exists (
          select
          from pg_catalog.pg_attribute as t
          where t.attrelid = 'features.cmc_ta_daily'::regclass
            and t.attname = a.attname
      )
    limit 1;
    if found then
        raise exception 'the feature store has a column % already', v_taken
            using errcode = 'TA423',
                  detail = 'It is no indicator''s: of two columns with one name, nobody could tell which is meant.',
                  hint = 'Read it from cmc_daily_features, or take other parameters.';
    end if;
    return new;
end
$$;

comment on function features.check_indicator() is
    'Before a row of dim_indicators is written: its kind and parameters checked, its columns named; one in use stays.';

create or replace trigger check_indicator
    before insert or update or delete on features.dim_indicators
    for each row execute function features.check_indicator();
