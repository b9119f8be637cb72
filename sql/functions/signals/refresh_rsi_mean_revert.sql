-- signals.refresh_rsi_mean_revert(p_ids, p_froms): bring the signals of RSIs that revert up to date for assets, as what it did for each.
--
--     select d.rows_written from signals.refresh_rsi_mean_revert('{1}', '{-infinity}') as d;
--
-- A step of features.refresh_assets, under refresh_signals.
--
-- requires: functions/signals/refresh_type.sql

create or replace function signals.refresh_rsi_mean_revert(p_ids integer[], p_froms timestamptz[])
returns table (
    id integer,
    rows_read bigint,
    rows_written bigint,
    rows_unchanged bigint,
    changed_from timestamptz,
    last_ts timestamptz,
    state bytea
)
language sql
volatile parallel unsafe
as $$
select d.* from signals.refresh_type('rsi_mean_revert', p_ids, p_froms) as d
$$;

comment on function signals.refresh_rsi_mean_revert(integer[], timestamptz[]) is
    'Brings cmc_signals_rsi_mean_revert up to date for assets, each from a ts on; counts, range and progress for refresh_assets.';
