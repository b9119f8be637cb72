-- db.packing(): what kernels read packed arrays and write packed rows with, as a module in GD.
--
--     plpy.execute("select db.packing()")
--     packing = GD["packing"]
--     ts = packing.unpack(p_ts, "i8")
--     found = packing.differences([(packing.INTEGER, ids, None), ...], p_stored, keys=2)
--
-- PL/Python functions cannot import from each other; GD is what those of a session share. A
-- kernel asks at each call: only the first of a session makes the module, and a new text of this
-- file makes a new one. It is part of every kernel's fingerprint.
--
-- A column is its type, its values, and where they are present (None: everywhere). Rows are
-- compared as record_send gives them, bit for bit, and leave as tuples of COPY's binary format,
-- of which that is a superset. The key is the first columns of a table and is never null.
--
-- needs: plpython3u

create or replace function db.packing()
returns void
language plpython3u
stable parallel unsafe
as $$
if "made" in SD:
    return

from types import SimpleNamespace

import numpy as np

INTEGER, STAMP, FLOAT, BOOLEAN = (23, ">i4"), (1184, ">i8"), (701, ">f8"), (16, "u1")
# ASCII words, an array of bytes; never null.
TEXT = (25, None)
# Numbers of which each may be null: values and presence have a row and a column of them.
FLOATS = (1022, None)
# Rows are laid out this many at a time: they stay in the processor's cache.
BLOCK = 4096


def unpack(packed, kind):
    """The values of array_send: a header of 20 bytes, then length and value of each."""
    if packed is None:
        return np.empty(0, kind)
    pairs = np.frombuffer(packed, [("length", ">i4"), ("value", ">" + kind)], offset=20)
    return pairs["value"].astype(kind)


def iso(stamps):
    """Microseconds since 2000 as text that PostgreSQL reads."""
    moments = np.datetime64("2000-01-01", "us") + np.asarray(stamps, "m8[us]")
    return [text + "Z" for text in np.datetime_as_string(moments)]


def fields(n, kind, values, present, typed):
    """How a column is laid out: name, type, values, and which of them are written."""
    oid, form = kind
    if typed:
        yield f"type{n}", ">i4", oid, None
    if kind is TEXT:
        size = np.char.str_len(values)
        yield f"length{n}", ">i4", size, None
        letters = np.ascontiguousarray(values).view("u1").reshape(len(values), values.itemsize)
        for at in range(values.itemsize):
            yield f"letter{n}_{at}", "u1", letters[:, at], size > at
        return
    if kind is not FLOATS:
        size = np.dtype(form).itemsize
        yield f"length{n}", ">i4", size if present is None else np.where(present, size, -1), None
        yield f"value{n}", form, values, present
        return
    slots = values.shape[1]
    if present is None:
        present = np.ones(values.shape, bool)
    known = present.sum(axis=1)
    yield f"length{n}", ">i4", 20 + 4 * slots + 8 * known, None
    for name, value in ("ndim", 1), ("nulls", known < slots), ("of", 701), ("dim", slots), ("lower", 1):
        yield f"{name}{n}", ">i4", value, None
    for slot in range(slots):
        at = present[:, slot]
        yield f"length{n}_{slot}", ">i4", np.where(at, 8, -1), None
        yield f"value{n}_{slot}", ">f8", values[:, slot], at


def lay_out(columns, typed):
    """Rows as bytes of one width, and what of the first of them is written: nulls have no value.

    Nulls come with a warm-up, in the first rows; those after the last of them are whole.
    """
    parts = [("count", ">i4" if typed else ">i2", len(columns), None)]
    for n, column in enumerate(columns):
        parts += fields(n, *column, typed)
    table = np.empty(len(columns[0][1]), [(name, form) for name, form, _, _ in parts])
    rows = table.view("u1").reshape(len(table), table.itemsize)
    whole = np.ones(len(table), bool)
    for name, _, values, present in parts:
        table[name] = values
        if present is not None:
            whole &= present
    partial = np.flatnonzero(~whole)
    written = np.ones((partial[-1] + 1 if len(partial) else 0, table.itemsize), bool)
    for name, form, _, present in parts if len(partial) else ():
        if present is not None:
            at = table.dtype.fields[name][1]
            written[:, at : at + np.dtype(form).itemsize] = present[: len(written), None]
    return rows, written


def joined(rows, written):
    """The bytes that are written of all rows."""
    return rows[: len(written)][written].tobytes() + rows[len(written) :].tobytes()


def part(columns, chosen):
    """Some rows of the columns."""
    return [
        (kind, values[chosen], None if present is None else present[chosen])
        for kind, values, present in columns
    ]


def blocks(columns, typed):
    """The rows a block at a time, as lay_out gives them."""
    for at in range(0, len(columns[0][1]), BLOCK):
        yield lay_out(part(columns, slice(at, at + BLOCK)), typed)


def records(columns):
    """Each row as record_send gives it."""
    for rows, written in blocks(columns, True):
        whole = joined(rows, written)
        lengths = np.full(len(rows), rows.shape[1])
        lengths[: len(written)] = written.sum(axis=1)
        ends = np.cumsum(lengths).tolist()
        for start, end in zip([0, *ends], ends):
            yield whole[start:end]


def tuples(columns):
    """The rows in COPY's binary format."""
    return b"".join(joined(*block) for block in blocks(columns, False))


def differences(columns, stored, keys):
    """What turns the stored rows into those of the columns, and how many stay as they are.

    ``stale`` has the keys of the stored rows that go, as one array for each key column;
    ``packed`` the rows that come, ``chosen`` their places among the columns', ``replaced`` the
    places of those that a stale one goes for; ``changed`` counts those that came, went or changed.
    """
    layout = [("count", ">i4")]
    for n, ((_, form), _, _) in enumerate(columns[:keys]):
        layout += [(f"type{n}", ">i4"), (f"length{n}", ">i4"), (f"value{n}", form)]
    key = np.dtype(layout)
    end = key.itemsize
    stored = {record[:end]: record for record in stored or ()}
    kept, chosen, replaced = set(), np.arange(len(columns[0][1])), []
    if stored:
        chosen = []
        for n, record in enumerate(records(columns)):
            old = stored.get(record[:end])
            if old == record:
                kept.add(record[:end])
            else:
                chosen.append(n)
                if old is not None:
                    replaced.append(n)
        columns = part(columns, chosen)
    stale = np.frombuffer(b"".join(each for each in stored if each not in kept), key)
    return SimpleNamespace(
        unchanged=len(kept),
        stale=[stale[f"value{n}"].astype(columns[n][0][1][1:]) for n in range(keys)],
        changed=len(chosen) + len(stale) - len(replaced),
        chosen=np.array(chosen, int),
        replaced=np.array(replaced, int),
        packed=tuples(columns),
    )


GD["packing"] = SimpleNamespace(
    INTEGER=INTEGER,
    STAMP=STAMP,
    FLOAT=FLOAT,
    BOOLEAN=BOOLEAN,
    FLOATS=FLOATS,
    TEXT=TEXT,
    unpack=unpack,
    iso=iso,
    differences=differences,
)
SD["made"] = True
$$;

comment on function db.packing() is
    'Puts the module packing into GD: how kernels read packed arrays and write the packed rows that differ.';
