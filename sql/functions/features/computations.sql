-- features.computations(): what a refresh computes for each asset, in this order, one row each.
--
--     select * from features.computations();
--
-- feature_type is the consumer's name in bars.dim_consumers too, which says what table it reads.
-- What another computation fills comes after that one. features.refresh_assets calls its step.
--
-- requires: functions/bars/ladder_kernel.sql, functions/features/returns_kernel.sql
-- requires: functions/features/vol_kernel.sql, functions/features/indicators_kernel.sql
-- requires: functions/features/ema_kernel.sql
-- requires: functions/features/daily_features.sql

create or replace function features.computations()
returns table (feature_type text, feature_name text, kernel regproc)
language sql
stable parallel safe
as $$
values
    ('bars', 'cmc_price_bars_multi_tf', 'bars.ladder_kernel'::regproc),
    ('returns', 'cmc_returns_daily', 'features.returns_kernel'::regproc),
    ('volatility', 'cmc_vol_daily', 'features.vol_kernel'::regproc),
    ('indicators', 'cmc_ta_daily', 'features.indicators_kernel'::regproc),
    ('ema', 'cmc_ema_multi_tf', 'features.ema_kernel'::regproc),
    ('store', 'cmc_daily_features', 'features._daily_row'::regproc)
$$;

comment on function features.computations() is
    'The computations of a refresh: type (and consumer), table that it fills, kernel that works it out.';

-- A slice above this one registers its computations in dim_computations.
create or replace function features.computations(p_verb text)
returns table (feature_type text, feature_name text, kernel regproc)
language sql
stable parallel safe
as $$
select c.feature_type, c.feature_name, c.kernel
from features.computations() as c
where p_verb = 'refresh_features'
union all
(
    select d.feature_type, d.feature_name, d.kernel::regproc
    from features.dim_computations as d
    where d.verb = p_verb
    order by d.place
)
$$;

comment on function features.computations(text) is
    'The computations of a verb: those of features for refresh_features, else those of dim_computations.';
