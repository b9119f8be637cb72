-- backtest.inputs_digest(p_run): SHA-256 of all that a run is made from, as 32 bytes.
--
--     select backtest.inputs_digest(r) = r.inputs_digest from backtest.runs as r;
--
-- Over binary forms (numbers as IEEE bytes, texts led by their length, null as a length of -1): type, version and
-- parameters of the signal, assets, range, costs, capital, sizing, fill, limit and annualisation, then
-- the segments of run_segments by asset and year. Not the label, nor when the data were read: data
-- that didn't change meanwhile are the same data.

create or replace function backtest.inputs_digest(p_run backtest.runs)
returns bytea
language sql
stable parallel safe
as $$
select sha256(
    array_send(array[p_run.signal_type, p_run.sizing, p_run.fill])
    || int4send(p_run.signal_version)
    || p_run.params_digest
    || array_send(p_run.asset_ids)
    || array_send(array[p_run.from_ts, p_run.to_ts])
    || array_send(
        array[
            p_run.fee_bps, p_run.slippage_bps, p_run.funding_bps, p_run.capital, p_run.fraction, p_run.vol_target,
            p_run.capital_limit
        ]
    )
    || int4send(p_run.annualisation_days)
    || (
        select
            array_send(coalesce(array_agg(s.id order by s.id, s.year), '{}'))
            || array_send(coalesce(array_agg(s.year order by s.id, s.year), '{}'))
            || array_send(coalesce(array_agg(s.row_count order by s.id, s.year), '{}'))
            || array_send(coalesce(array_agg(s.digest order by s.id, s.year), '{}'))
        from backtest.run_segments as s
        where s.run_id = p_run.run_id
    )
)
$$;

comment on function backtest.inputs_digest(backtest.runs) is
    'SHA-256 over a run''s parameters and the segments of run_segments in PostgreSQL''s binary form.';
