-- features.fingerprint(p_kernel): what the kernel's last bits depend on, as a digest.
--
--     select features.fingerprint('features.returns_kernel');
--
-- Digest of the kernel's text and those of the modules that kernels share, the versions of numpy and
-- scipy, and the bits that this machine gives for a fixed vector: logarithms of libm, quotients,
-- sums along a row, roots.
-- Stored beside each result: where it differs, old and new rows must not be mixed.
-- Worked out once a session for each text; numpy and scipy cannot change under a running session.
--
-- requires: functions/db/packing.sql, functions/indicators/series.sql, functions/features/daily.sql
-- needs: plpython3u

create or replace function features.fingerprint(p_kernel regproc)
returns text
language plpython3u
stable parallel unsafe
as $$
if "plan" not in SD:
    SD["plan"] = plpy.prepare(
        "select string_agg(p.prosrc, '' order by w.place) as all"
        " from unnest(array[$1, 'db.packing', 'indicators.series', 'features.daily']::regproc[])"
        " with ordinality as w (routine, place)"
        " join pg_catalog.pg_proc as p on p.oid = w.routine",
        ["text"],
    )
text = plpy.execute(SD["plan"], [p_kernel])[0]["all"]
if text not in SD:
    import hashlib
    import math
    from importlib import metadata

    import numpy as np

    vector = np.array([1 + n * n / 97 for n in range(504)])
    bits = [
        np.array(list(map(math.log, vector.tolist()))),
        vector[1:] / vector[:-1],
        vector.reshape(2, 252).sum(axis=1),
        np.sqrt(vector),
    ]
    parts = [text, *(f"{name} {metadata.version(name)}" for name in ("numpy", "scipy"))]
    digest = hashlib.sha256("\n".join(parts).encode())
    for each in bits:
        digest.update(each.tobytes())
    SD[text] = digest.hexdigest()
return SD[text]
$$;

comment on function features.fingerprint(regproc) is
    'Digest of a kernel''s text, of the shared modules'', of numpy''s and scipy''s version and of this machine''s arithmetic.';
