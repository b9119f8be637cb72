-- features.refresh_findings(p_ids): look at what changed in these assets' features, as one row per rule that found something new or gone.
--
--     select f.rule, f.appeared, f.ended from features.refresh_findings('{1,1027}') as f;
--
-- The last step of a refresh. What changed is what bars.dirty_range says for the consumers of the rules: each rule is
-- one statement over these ranges of all assets, so that a new day costs the same whatever came before.
-- A finding stands as long as its row gives it; a repetition changes nothing. An asset whose row of
-- refresh_state another session holds keeps its ranges and is looked at the next time.
-- Critical ones raise an alert for each rule, which ends when the rule finds none any more.
-- A rule that fails leaves the ranges, a warning and an alert: features count without their examination.
--
-- requires: functions/observability/record_alert.sql, functions/observability/resolve_alert.sql

create or replace function features._look_for(
    p_rule text,
    p_threshold double precision,
    p_severity text,
    p_ids integer[],
    p_froms timestamptz[]
)
returns table (appeared bigint, ended bigint)
language plpgsql
volatile parallel unsafe
as $$
begin
    if to_regprocedure(
        format('features.%I(integer[], timestamptz[], double precision)', 'finding_' || p_rule)
    ) is null then
        raise exception 'there is no function for the rule %', p_rule
            using errcode = 'TA4F1',
                  detail = format('features.finding_%s does not exist.', p_rule),
                  hint = 'Add its file under sql/functions/features and migrate, or set is_active = false in dim_finding_rules.';
    end if;
    -- Dynamic: which function it is stands in the row.
    execute format(
        $query$
        with seen as materialized (
            select s.id, s.ts, s.value
            from features.%I($1, $2, $3) as s
        ), gone as (
            delete from features.findings as f
            using unnest($1, $2) as w (id, from_ts)
            where f.id = w.id
              and f.rule = $4
              and f.ts >= w.from_ts
              and not exists (select from seen as s where s.id = f.id and s.ts = f.ts)
            returning f.id
        ), written as (
            insert into features.findings as f (id, rule, ts, value, severity)
            select s.id, $4, s.ts, s.value, $5
            from seen as s
            on conflict (id, rule, ts) do update
            set value = excluded.value,
                severity = excluded.severity
            where (f.value, f.severity) is distinct from (excluded.value, excluded.severity)
            returning f.id
        )
        select (select count(*) from written), (select count(*) from gone)
        $query$,
        'finding_' || p_rule
    ) into appeared, ended using p_ids, p_froms, p_threshold, p_rule, p_severity;
    return next;
end
$$;

comment on function features._look_for(text, double precision, text, integer[], timestamptz[]) is
    'Private: makes the findings of one rule in the given ranges what its function says; how many are new or other, and gone.';

create or replace function features._alert_of_findings(p_rules text[])
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    perform observability.resolve_alert(a.problem)
    from observability.alerts as a
    where a.alert_type = 'features.critical_finding'
      and a.resolved_at is null
      and not exists (
          select
          from features.findings as f
          where f.severity = 'critical'
            and f.rule = a.metadata ->> 'rule'
      );
    perform observability.record_alert(
        'features.critical_finding', 'critical',
        format('%s findings of %s: `ta-lab2 findings --rule %s`', f.findings, f.rule, f.rule),
        'finding ' || f.rule,
        jsonb_build_object('rule', f.rule, 'findings', f.findings, 'assets', f.assets)
    )
    from (
        select f.rule, count(*) as findings, count(distinct f.id) as assets
        from features.findings as f
        where f.severity = 'critical'
          and f.rule = any (p_rules)
        group by f.rule
    ) as f;
end
$$;

comment on function features._alert_of_findings(text[]) is
    'Private: raises the alerts of critical rules that found something new, resolves those that find nothing.';

create or replace function features.refresh_findings(p_ids integer[])
returns table (rule text, appeared bigint, ended bigint)
language plpgsql
volatile parallel unsafe
as $$
declare
    c_failed constant text := 'findings failed';
    v_rule record;
    v_seen record;
    v_new  text[] := array[]::text[];
begin
    begin
        for v_rule in
            with mine as materialized (
                -- The lock of an asset's features; without anything to look at it is not asked for.
                select s.id
                from features.refresh_state as s
                where s.id = any (p_ids)
                  and s.verb = 'refresh_features'
                  and exists (
                      select
                      from bars.dirty_range as d
                      where d.id = s.id
                        and d.consumer in (select r.consumer from features.dim_finding_rules as r)
                  )
                order by s.id
                for update skip locked
            ), taken as (
                delete from bars.dirty_range as d
                using mine as m
                where d.id = m.id
                  and d.consumer in (select r.consumer from features.dim_finding_rules as r)
                returning d.id, d.consumer, d.from_ts
            ), due as (
                select t.consumer, t.id, min(t.from_ts) as from_ts
                from taken as t
                group by t.consumer, t.id
            )
            select
                r.rule, r.threshold, r.severity,
                array_agg(d.id order by d.id) as ids,
                array_agg(d.from_ts order by d.id) as froms
            from due as d
            join features.dim_finding_rules as r on r.consumer = d.consumer
            where r.is_active
            group by r.rule
            order by r.rule
        loop
            select l.appeared, l.ended
            into v_seen
            from features._look_for(
                v_rule.rule, v_rule.threshold, v_rule.severity, v_rule.ids, v_rule.froms
            ) as l;
            if v_seen.appeared > 0 then
                v_new := v_new || v_rule.rule;
            end if;
            if v_seen.appeared + v_seen.ended > 0 then
                rule := v_rule.rule;
                appeared := v_seen.appeared;
                ended := v_seen.ended;
                return next;
            end if;
        end loop;
        perform features._alert_of_findings(v_new);
        perform observability.resolve_alert(c_failed);
    exception when others then
        raise warning 'refresh_features: no findings were looked for: %', sqlerrm;
        perform observability.record_alert(
            'features.findings_failed', 'warning',
            format('no findings were looked for: %s', sqlerrm), c_failed,
            jsonb_build_object('sqlstate', sqlstate)
        );
    end;
end
$$;

comment on function features.refresh_findings(integer[]) is
    'Looks at what changed in the features of these assets; per rule how many findings are new or other, and gone.';
