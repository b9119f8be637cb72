-- features.check_feature(): refuse a row of dim_features that would have a computation say something false, as a row trigger.
--
--     update dim_features set null_policy = 'interpolate' where feature_type = 'returns';  -- refused
--
-- What a number may be is a matter of the table's checks; this says why a policy is no policy.

create or replace function features.check_feature()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    if new.feature_type = 'returns' and new.null_policy <> 'skip' then
        raise exception 'returns can''t be filled: null_policy % means nothing for them', new.null_policy
            using errcode = 'TA420',
                  detail = 'A return belongs to two candles. Repeated, or drawn on a line between two others, it would count a move of the price that was not there.',
                  hint = 'Leave it at skip; volatility and indicators can be filled.';
    end if;
    if new.feature_type = 'indicators'
        and num_nonnulls(new.look_back, new.outlier_sigmas, new.outlier_fence) > 0
    then
        raise exception 'indicators have no outlier flags'
            using errcode = 'TA420',
                  detail = 'Most of them have a range of their own, such as 0 to 100, or follow the price.',
                  hint = 'Leave look_back, outlier_sigmas and outlier_fence null; returns and volatility have flags.';
    end if;
    return new;
end
$$;

comment on function features.check_feature() is
    'Before a row of dim_features is written: an error that says why, where a computation can''t do what it asks for.';

create or replace trigger check_feature
    before insert or update on features.dim_features
    for each row execute function features.check_feature();
