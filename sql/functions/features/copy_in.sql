-- features.copy_in(p_target, p_rows): append packed rows to what a refresh fills, as their number.
--
--     select features.copy_in('features.cmc_returns_daily', k.packed) from ... as k;
--
-- p_rows are the tuples of COPY's binary format, all columns in the table's order, without
-- header and trailer. The kernels' way out: six times as fast as arrays that are unnested.
-- COPY reads from the server's files only, so the rows go through one that has no name:
-- no other user can open it, and nothing is left of it however this ends.
-- TimescaleDB lets only a superuser COPY a file into a hypertable, so none takes rows.
-- Runs as its owner, who may read server files; those who call it may not.
--
-- needs: plpython3u

create or replace function features.copy_in(p_target regclass, p_rows bytea)
returns bigint
language plpython3u
volatile parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
import os

if "plan" not in SD:
    SD["plan"] = plpy.prepare(
        "select format('%I.%I', t.schema_name, t.table_name) as name"
        " from pg_class as c"
        " join pg_namespace as n on n.oid = c.relnamespace"
        " join ta_meta.table_class as t on t.schema_name = n.nspname and t.table_name = c.relname"
        " where c.oid = $1::regclass"
        " and t.time_column is null and (t.class = 'asset'"
        " and (t.schema_name in ('features', 'regimes', 'signals') or t.table_name = 'cmc_price_bars_multi_tf')"
        " or (t.schema_name, t.table_name) = ('backtest', 'equity'))",
        ["text"],
    )
table = plpy.execute(SD["plan"], [p_target])
if not table:
    plpy.error(
        f"{p_target} takes no packed rows",
        detail="Only the asset tables of the schemas features, regimes and signals, the bars and equity of backtests do;"
        " of these no time series.",
        hint="Insert into it, or register it in ta_meta.table_class.",
        sqlstate="TA405",
    )
file = os.memfd_create("ta_lab2_rows")
try:
    with open(file, "wb", closefd=False) as sink:
        sink.write(b"PGCOPY\n\377\r\n\0" + bytes(8))
        sink.write(p_rows)
        sink.write(b"\377\377")
    copied = plpy.execute(f"copy {table[0]['name']} from '/proc/self/fd/{file}' (format binary)")
finally:
    os.close(file)
return copied.nrows()
$$;

comment on function features.copy_in(regclass, bytea) is
    'Appends tuples of COPY''s binary format to an asset table of features, regimes or signals, or to the bars; the number of rows.';
