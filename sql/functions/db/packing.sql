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


def shape(kind, values, present):
    """What of a column decides how long a row is, each as an array: nulls and lengths of words."""
    if kind is TEXT:
        return [np.char.str_len(values)]
    if present is None:
        return []
    return [present] if present.ndim == 1 else [*present.T]


def fields(kind, values, present, typed):
    """How a column of rows of one shape is laid out: form and values of each part."""
    oid, form = kind
    if typed:
        yield ">i4", oid
    if kind is TEXT:
        size = int(np.char.str_len(values[:1])[0])
        yield ">i4", size
        if size:
            yield f"S{size}", values
    elif kind is FLOATS:
        slots = values.shape[1]
        known = np.ones(slots, bool) if present is None else present[0]
        yield ">i4", 20 + 4 * slots + 8 * int(known.sum())
        for header in 1, int(not known.all()), 701, slots, 1:
            yield ">i4", header
        for slot in range(slots):
            yield ">i4", 8 if known[slot] else -1
            if known[slot]:
                yield ">f8", values[:, slot]
    elif present is None or present[0]:
        yield ">i4", np.dtype(form).itemsize
        yield form, values
    else:
        yield ">i4", -1


def lay_out(columns, typed):
    """Rows of one shape as bytes, one after the other."""
    parts = [(">i4" if typed else ">i2", len(columns))]
    for column in columns:
        parts += fields(*column, typed)
    row = np.zeros(1, [(f"part{n}", form) for n, (form, _) in enumerate(parts)])
    changing = []
    for name, (_, values) in zip(row.dtype.names, parts):
        if isinstance(values, int):
            row[name] = values
        else:
            changing.append((name, values))
    rows = np.repeat(row, len(columns[0][1]))
    for at in range(0, len(rows), BLOCK):
        for name, values in changing:
            rows[name][at : at + BLOCK] = values[at : at + BLOCK]
    return memoryview(rows.view("u1")), row.itemsize


def part(columns, chosen):
    """Some rows of the columns."""
    return [
        (kind, values[chosen], None if present is None else present[chosen])
        for kind, values, present in columns
    ]


def runs(columns, typed):
    """The bytes of rows of one shape that follow each other, and of how many bytes each row is."""
    shapes = [each for column in columns for each in shape(*column)]
    amount = len(columns[0][1])
    if not amount:
        return
    if not shapes:
        yield lay_out(columns, typed)
        return
    differs = np.zeros(amount, bool)
    for each in shapes:
        differs[1:] |= each[1:] != each[:-1]
    begin = np.append(0, np.flatnonzero(differs))
    lengths = np.diff(begin, append=amount)
    # The shapes that occur are numbered; rows of the same are laid out together.
    numbers = {}
    seen = np.column_stack([each[begin] for each in shapes])
    which = [numbers.setdefault(each.tobytes(), len(numbers)) for each in seen]
    if len(numbers) == 1:
        yield lay_out(columns, typed)
        return
    of_row = np.repeat(which, lengths)
    laid = [lay_out(part(columns, of_row == number), typed) for number in range(len(numbers))]
    at = [0] * len(laid)
    for number, length in zip(which, lengths.tolist()):
        whole, width = laid[number]
        start = at[number]
        at[number] = end = start + length * width
        yield whole[start:end], width


def records(columns):
    """Each row as record_send gives it."""
    for some, width in runs(columns, True):
        for at in range(0, len(some), width):
            yield bytes(some[at : at + width])


def tuples(columns):
    """The rows in COPY's binary format."""
    return b"".join(some for some, _ in runs(columns, False))


def differences(columns, stored, keys):
    """What turns the stored rows into those of the columns, and which of these are new or others.

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


def outcome(found, ids, assets):
    """What a kernel gives back of rows of these ids: for each of the assets, which are in order, how
    many stay and how many came, went or changed; then the stale keys, and the packed rows."""

    def counted(ids):
        return np.bincount(np.searchsorted(assets, ids), minlength=len(assets))

    came = counted(ids[found.chosen])
    return (
        (counted(ids) - came).tolist(),
        (came + counted(found.stale[0]) - counted(ids[found.replaced])).tolist(),
        *(each.tolist() for each in found.stale[:-1]),
        iso(found.stale[-1]),
        found.packed,
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
    outcome=outcome,
)
SD["made"] = True
$$;

comment on function db.packing() is
    'Puts the module packing into GD: how kernels read packed arrays and write the packed rows that differ.';
