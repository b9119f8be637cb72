-- backtest.delete_equity(): take the equity of deleted runs away, as a statement trigger.
--
--     delete from backtest.runs as r where r.run_id = '...';
--
-- In the place of a foreign key, which would look the run up for every row that is written.

create or replace function backtest.delete_equity()
returns trigger
language plpgsql
volatile parallel unsafe
as $$
begin
    delete from backtest.equity as e
    using old_rows as r
    where e.run_id = r.run_id;
    return null;
end
$$;

comment on function backtest.delete_equity() is
    'After runs were deleted: deletes their equity.';

create or replace trigger delete_equity
    after delete on backtest.runs
    referencing old table as old_rows
    for each statement execute function backtest.delete_equity();
