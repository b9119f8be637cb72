-- refresh_signals(p_asset_ids, p_rebuild, p_dry_run): bring every asset's signals up to date, a commit per batch.
--
--     call refresh_signals();                         -- after refresh_features() and refresh_regimes()
--     call refresh_signals(p_asset_ids => '{1,1027}');
--     call refresh_signals(p_dry_run => true);        -- says what is due, writes nothing
--     call refresh_signals(p_rebuild => true);        -- works everything out anew
--
-- Front door: lives in public so an operator can type it unqualified.
-- It reads features and regimes as the verbs before left them, as ta_lab2_research, and is refresh_features with
-- other computations: as safe to stop, to run twice and twice at once, with locks, traces and
-- alerts of its own.
--
-- requires: procedures/features/refresh_features.sql, functions/signals/refresh_ema_crossover.sql
-- requires: functions/signals/refresh_rsi_mean_revert.sql, functions/signals/refresh_atr_breakout.sql
-- requires: functions/signals/configuration.sql

create or replace procedure public.refresh_signals(
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
        p_verb => 'refresh_signals'
    );
end
$$;

comment on procedure public.refresh_signals(integer[], boolean, boolean) is
    'Refreshes signals for the given assets (all by default), committing after each batch; a dry run writes nothing.';
