-- refresh_all(p_asset_ids, p_rebuild, p_dry_run): bring every asset's features, regimes and signals up to date, a commit per batch.
--
--     call refresh_all();                         -- what pg_cron runs
--     call refresh_all(p_asset_ids => '{1,1027}');
--     call refresh_all(p_dry_run => true);        -- says what is due, writes nothing
--
-- Front door: lives in public so an operator can type it unqualified.
-- One verb after the other, because each reads what the ones before left: what an asset lacks in one is
-- left to the next call in the others. A dry run tells of what is due now, not of what will be.
--
-- requires: procedures/features/refresh_features.sql, procedures/regimes/refresh_regimes.sql
-- requires: procedures/signals/refresh_signals.sql

create or replace procedure public.refresh_all(
    p_asset_ids integer[] default null,
    p_rebuild boolean default false,
    p_dry_run boolean default false
)
language plpgsql
as $$
begin
    call public.refresh_features(p_asset_ids => p_asset_ids, p_rebuild => p_rebuild, p_dry_run => p_dry_run);
    call public.refresh_regimes(p_asset_ids => p_asset_ids, p_rebuild => p_rebuild, p_dry_run => p_dry_run);
    call public.refresh_signals(p_asset_ids => p_asset_ids, p_rebuild => p_rebuild, p_dry_run => p_dry_run);
end
$$;

comment on procedure public.refresh_all(integer[], boolean, boolean) is
    'Refreshes features, regimes and signals for the given assets (all by default); a dry run writes nothing.';
