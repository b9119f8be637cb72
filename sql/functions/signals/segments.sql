-- signals.segments(p_id, p_signal_id, p_known_at): digests of all that a signal read of an asset, one row per calendar year.
--
--     select s.year, encode(s.digest, 'hex') from signals.segments(1, 6) as s;
--
-- What is stored, with null; else what a refresh at that moment stored, worked out and not stored.
--
-- requires: functions/signals/as_known.sql

create or replace function signals.segments(
    p_id integer,
    p_signal_id integer,
    p_known_at timestamptz default null
)
returns setof signals.cmc_signal_segments
language plpgsql
stable parallel unsafe
as $$
begin
    if p_known_at is null then
        perform signals._known_signal(p_signal_id);
        return query
        select s.*
        from signals.cmc_signal_segments as s
        where s.id = p_id
          and s.signal_id = p_signal_id
        order by s.year;
        return;
    end if;
    return query
    select p_id, p_signal_id, s.year, s.row_count, s.last_ts, s.digest
    from signals.as_known(p_id, p_signal_id, p_known_at) as k
    cross join lateral unnest(k.segment_years, k.segment_counts, k.segment_last_ts, k.segment_digests)
        as s (year, row_count, last_ts, digest)
    order by s.year;
end
$$;

comment on function signals.segments(integer, integer, timestamptz) is
    'Segments of a signal of an asset, as they are stored or as they were known at a moment.';

grant execute on function signals.segments(integer, integer, timestamptz) to ta_lab2_research;
