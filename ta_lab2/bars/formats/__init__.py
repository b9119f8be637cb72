"""Price files: opened whatever they are packed in, recognised by their header, read line by line.

``layouts``    what is known: the headers, and which column is which
``opening``    gzip, zip and plain text, as bounded lines
``parquet``    the same of Parquet
``mapping``    a layout of the user's own, from a TOML file
``moments``    what a date or a time is
``detection``  which layout a file has, and which asset it is of
"""

from ta_lab2.bars.formats.detection import UNSAID, PriceFile, Wanted, recognise
from ta_lab2.bars.formats.layouts import LAYOUTS, Format, Layout
from ta_lab2.bars.formats.opening import RAW_LIMIT, members

__all__ = [
    "LAYOUTS",
    "RAW_LIMIT",
    "UNSAID",
    "Format",
    "Layout",
    "PriceFile",
    "Wanted",
    "members",
    "recognise",
]
