-- bars.end_load(p_load, p_recorded_at, p_loaded, ...): close the record of a load, as nothing.
--
--     select bars.end_load(:load, now(), 10, 0, 0, 1, 0, 0, 0, 0);
--
-- What became of its lines is kept, and they are staged no more. p_recorded_at is the stamp of the
-- candles that it wrote, null when it wrote none.

create or replace function bars.end_load(
    p_load uuid,
    p_recorded_at timestamptz,
    p_loaded bigint,
    p_unchanged bigint,
    p_revised bigint,
    p_rejected bigint,
    p_forming bigint,
    p_other_source bigint,
    p_other_differing bigint,
    p_other_new bigint
)
returns void
language plpgsql
volatile parallel unsafe
as $$
begin
    update bars.loads as l
    set finished_at = clock_timestamp(),
        recorded_at = p_recorded_at,
        loaded = p_loaded,
        unchanged = p_unchanged,
        revised = p_revised,
        rejected = p_rejected,
        forming = p_forming,
        other_source = p_other_source,
        other_differing = p_other_differing,
        other_new = p_other_new
    where l.load = p_load;
    delete from bars.price_staging as s where s.load = p_load;
end
$$;

comment on function bars.end_load(
    uuid, timestamptz, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint
) is
    'Writes down what became of the lines of a load, and takes them out of price_staging.';
