-- features.fingerprints(): what the rows of every computation depend on beside their input, as a JSON object.
--
--     select features.fingerprints() ->> 'returns';
--
-- By feature type: the fingerprint of its kernel, and its configuration where it has one, such as the
-- periods of the EMAs with their slots, the kernels of all kinds of indicators, or the row of dim_features.
-- Where it differs from the stored one all is worked out anew, and what differs is written.
-- Worked out once for a whole refresh. A kernel that is replaced while it runs is compared again by
-- the next one, which finds the old fingerprint and works out anew what was done with it.
--
-- requires: functions/features/computations.sql, functions/features/fingerprint.sql

create or replace function features.fingerprints()
returns jsonb
language sql
stable parallel unsafe
as $$
select jsonb_object_agg(
    c.feature_type,
    concat_ws(
        ' ',
        features.fingerprint(c.kernel),
        case c.feature_type
            when 'ema' then (
                select string_agg(format('%s:%s', p.slot, p.period), ' ' order by p.slot)
                from features.dim_ema_periods as p
            )
            -- Not which indicators are active: one that comes leaves the others as they are.
            when 'indicators' then (
                select md5(string_agg(p.prosrc, '' order by p.proname))
                from pg_catalog.pg_proc as p
                where p.pronamespace = 'indicators'::regnamespace
                  and (p.proname = 'arithmetic' or p.proname ~ '^_.*_kernel$')
            )
        end,
        (
            select concat_ws(' ', f.null_policy, f.look_back, f.outlier_sigmas, f.outlier_fence)
            from features.dim_features as f
            where f.feature_type = c.feature_type
        )
    )
)
from features.computations() as c
$$;

comment on function features.fingerprints() is
    'Fingerprint of each computation''s kernel and its configuration, keyed by feature type.';

create or replace function features._configuration(p_routine regproc)
returns setof text
language plpgsql
stable strict parallel unsafe
as $$
begin
    return query execute format('select %s()', p_routine);
end
$$;

comment on function features._configuration(regproc) is
    'Private: what a configuration routine of dim_computations says; no row without one.';

create or replace function features.fingerprints(p_verb text)
returns jsonb
language plpgsql
stable parallel unsafe
as $$
declare
    v_found jsonb;
begin
    if p_verb = 'refresh_features' then
        return features.fingerprints();
    end if;
    select jsonb_object_agg(d.feature_type, concat_ws(' ', features.fingerprint(d.kernel::regproc), c.said))
    into v_found
    from features.dim_computations as d
    left join lateral features._configuration(d.configuration::regproc) as c (said) on true
    where d.verb = p_verb;
    if v_found is null then
        raise exception 'no verb is called %', coalesce(p_verb, 'null')
            using errcode = 'invalid_parameter_value',
                  hint = 'refresh_features, or one that dim_computations has.';
    end if;
    return v_found;
end
$$;

comment on function features.fingerprints(text) is
    'The same for the computations of a verb; what a slice above this one depends on its configuration routine says.';
