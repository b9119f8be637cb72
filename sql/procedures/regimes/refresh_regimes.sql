-- refresh_regimes(p_asset_ids, p_rebuild, p_dry_run): bring every asset's regimes up to date, a commit per batch.
--
--     call refresh_regimes();                         -- after refresh_features()
--     call refresh_regimes(p_asset_ids => '{1,1027}');
--     call refresh_regimes(p_dry_run => true);        -- says what is due, writes nothing
--     call refresh_regimes(p_rebuild => true);        -- works everything out anew
--
-- Front door: lives in public so an operator can type it unqualified.
-- It reads bars, EMAs and sessions as the last refresh_features() left them, and is that verb with
-- other computations: as safe to stop, to run twice and twice at once, with locks, traces and
-- alerts of its own.
--
-- requires: procedures/features/refresh_features.sql, functions/regimes/refresh_daily.sql
-- requires: functions/regimes/refresh_transitions.sql, functions/regimes/configuration.sql

create or replace procedure public.refresh_regimes(
    p_asset_ids integer[] default null,
    p_rebuild boolean default false,
    p_dry_run boolean default false
)
language plpgsql
as $$
begin
    call public.refresh_features(
        p_asset_ids => p_asset_ids,
        p_rebuild => p_rebuild,
        p_dry_run => p_dry_run,
        p_verb => 'refresh_regimes'
    );
end
$$;

comment on procedure public.refresh_regimes(integer[], boolean, boolean) is
    'Refreshes regimes for the given assets (all by default), committing after each batch; a dry run writes nothing.';
