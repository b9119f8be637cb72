-- bars.line_verdict(p_reason, p_is_forming, p_is_own, p_extends, p_is_stored, p_is_same, p_is_repetition): what becomes of a staged line, as a word.
--
--     select bars.line_verdict(null, false, true, false, true, false, false);   -- revised
--
-- A reason refuses it. A load that is not of the series' source (p_is_own) stores only where no candle is,
-- and only when it extends. p_is_repetition: an earlier line of the load said the same; null: no other line has its ts.

create or replace function bars.line_verdict(
    p_reason text,
    p_is_forming boolean,
    p_is_own boolean,
    p_extends boolean,
    p_is_stored boolean,
    p_is_same boolean,
    p_is_repetition boolean
)
returns text
language sql
immutable parallel safe
as $$
select case
    when p_reason is not null then 'rejected'
    when p_is_forming then 'forming'
    when not p_is_own and (p_is_stored or not p_extends) then 'other source'
    when p_is_repetition then 'unchanged'
    when not p_is_stored then 'loaded'
    when p_is_same then 'unchanged'
    else 'revised'
end
$$;

comment on function bars.line_verdict(text, boolean, boolean, boolean, boolean, boolean, boolean) is
    'Which count of its load a line ends in, daily or intraday: the first of the verdicts that fits.';
