-- backtest.machinery(): what works a run out, by name, and its digest.
--
--     select m.machinery -> 'routines', encode(m.digest, 'hex') from backtest.machinery() as m;
--
-- routines: SHA-256 of the text of every routine between a candle and a metric, without comments and blank
-- lines; versions: of PostgreSQL, its extensions, Python, numpy and scipy; arithmetic: SHA-256 of the bits
-- that this machine gives for a fixed vector. The digest is over names and values in the order of names, each led by its
-- length. Worked out once a session for each text: versions can't change under a running session.
--
-- requires: functions/features/computations.sql
-- needs: plpython3u

create or replace function backtest.machinery(out machinery jsonb, out digest bytea)
language plpython3u
stable parallel unsafe
set search_path = pg_catalog, pg_temp
-- The names of arguments' types are part of what is digested.
set quote_all_identifiers = off
as $$
ROUTINES = """
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    join pg_language as l on l.oid = p.prolang
    where p.prorettype <> 'trigger'::regtype
      and (
          n.nspname in ('regimes', 'signals')
          or p.oid in (select c.kernel from features.computations() as c)
          or n.nspname = 'indicators'
          and (p.proname in ('arithmetic', 'series') or p.proname ~ '^_.*_kernel$')
          or (n.nspname, p.proname) in (
              ('db', 'packing'),
              ('features', '_as_known'), ('features', 'daily'),
              ('backtest', 'read_inputs'), ('backtest', '_candles'), ('backtest', '_events'), ('backtest', '_segments'),
              ('backtest', 'simulation_kernel'),
              ('backtest', 'metrics_kernel'), ('backtest', 'measure'),
              ('backtest', 'work_out')
          )
      )
"""
# A routine that is replaced is another row version: its text need not be read to know.
if "versions" not in SD:
    SD["versions"] = plpy.prepare(
        "select md5(string_agg(format('%s %s %s', p.oid, p.xmin, p.ctid), ' ' order by p.oid)) as key" + ROUTINES
    )
key = plpy.execute(SD["versions"])[0]["key"]
if key in SD:
    return SD[key]

import hashlib
import io
import json
import math
import re
import tokenize
from importlib import metadata
from platform import python_version

import numpy as np

# Strings, names and dollar quotes are taken whole, so that what looks like a comment in them stays.
SQL = re.compile(
    r"""('(?:[^']|'')*'|"[^"]*"|([$]\w*[$]).*?\2)|--[^\n]*|/\*.*?\*/""", re.DOTALL
)


def without_comments(language, source):
    if language == "plpython3u":
        lines = source.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
        source = "\n".join(lines)
    else:
        source = SQL.sub(lambda found: found[1] or "", source)
    return "\n".join(line.rstrip() for line in source.splitlines() if line.strip())


def arithmetic():
    vector = np.array([1 + n * n / 97 for n in range(504)])
    digest = hashlib.sha256()
    for bits in (
        np.array(list(map(math.log, vector.tolist()))),
        vector[1:] / vector[:-1],
        vector.reshape(2, 252).sum(axis=1),
        np.add.accumulate(vector),
        np.sqrt(vector),
        np.array([x**0.1 for x in vector.tolist()]),
    ):
        digest.update(bits.astype(">f8").tobytes())
    return digest.hexdigest()


routines = plpy.execute(
    "select format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name,"
    " l.lanname as language, p.prosrc as source" + ROUTINES
)
extensions = plpy.execute("select e.extname as name, e.extversion as version from pg_extension as e")
found = {
    "routines": {
        routine["name"]: hashlib.sha256(
            without_comments(routine["language"], routine["source"]).encode()
        ).hexdigest()
        for routine in routines
    },
    "versions": {
        **{extension["name"]: extension["version"] for extension in extensions},
        "postgresql": plpy.execute("select current_setting('server_version') as v")[0]["v"],
        "python": python_version(),
        **{name: metadata.version(name) for name in ("numpy", "scipy")},
    },
    "arithmetic": {"bits": arithmetic()},
}
digest = hashlib.sha256()
for part in sorted(found):
    for name in sorted(found[part]):
        for text in (part, name, found[part][name]):
            digest.update(len(text.encode()).to_bytes(4, "big") + text.encode())
SD[key] = json.dumps(found), digest.digest()
return SD[key]
$$;

comment on function backtest.machinery() is
    'Routines, versions and arithmetic that a run depends on, each with its digest, and the digest of all.';
