-- features.unpacked(p_table, p_packed): the rows that a kernel packed for a table, as the text of each.
--
--     select (u.row::features.cmc_returns_daily).ret_pct_1
--     from features.unpacked('features.cmc_returns_daily', k.packed) as u (row);
--
-- For who computes without storing: what copy_in writes into a table is read here instead. Numbers
-- keep every bit: their text is the shortest that gives them back. Columns that the table makes from others are null.
--
-- needs: plpython3u

create or replace function features.unpacked(p_table regclass, p_packed bytea)
returns setof text
language plpython3u
stable parallel unsafe
as $$
from datetime import datetime, timedelta
from struct import Struct

COUNT, LENGTH = Struct(">h"), Struct(">i")
INTEGER, STAMP, FLOAT = Struct(">i"), Struct(">q"), Struct(">d")
EPOCH = datetime(2000, 1, 1)


def integer(at, length):
    return str(INTEGER.unpack_from(p_packed, at)[0])


def stamp(at, length):
    return f"{EPOCH + timedelta(microseconds=STAMP.unpack_from(p_packed, at)[0])}+00"


def number(at, length):
    return repr(FLOAT.unpack_from(p_packed, at)[0])


def boolean(at, length):
    return "t" if p_packed[at] else "f"


def text(at, length):
    found = str(p_packed[at : at + length], "utf-8")
    return '"' + found.replace("\\", "\\\\").replace('"', '\\"') + '"'


def numbers(at, length):
    """An array of one dimension: 20 bytes, then length and value of each."""
    found, end = [], at + length
    at += 20
    while at < end:
        (size,) = LENGTH.unpack_from(p_packed, at)
        at += LENGTH.size
        found.append("null" if size < 0 else number(at, size))
        at += max(size, 0)
    return '"{' + ",".join(found) + '}"'


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'


def text(at, length):
    return quoted(p_packed[at : at + length].decode())


def document(at, length):
    """jsonb: a byte with its version before the text."""
    return text(at + 1, length - 1)


def octets(at, length):
    return quoted("\\x" + p_packed[at : at + length].hex())


TEXTS = {
    23: integer,
    1184: stamp,
    701: number,
    16: boolean,
    1022: numbers,
    25: text,
    3802: document,
    17: octets,
}

# A column that is made from others is not packed: None.
texts = [
    None if column["is_made"] else TEXTS[column["atttypid"]]
    for column in plpy.execute(
        "select a.atttypid::integer, a.attgenerated <> '' as is_made from pg_catalog.pg_attribute as a"
        " where a.attrelid = " + plpy.quote_literal(p_table) + "::regclass"
        " and a.attnum > 0 and not a.attisdropped order by a.attnum"
    )
]
at = 0
while at < len(p_packed):
    at += COUNT.size
    row = []
    for read in texts:
        if read is None:
            row.append("")
            continue
        (length,) = LENGTH.unpack_from(p_packed, at)
        at += LENGTH.size
        row.append("" if length < 0 else read(at, length))
        at += max(length, 0)
    yield "(" + ",".join(row) + ")"
$$;

comment on function features.unpacked(regclass, bytea) is
    'The rows in packed tuples for a table, each as text that is cast to the table''s row type.';
