"""What files are packed in, and what is too much of it: through the command, without a database."""

from __future__ import annotations

import copy
import gzip
import io
import os
import shutil
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from ta_lab2 import cli
from ta_lab2.bars import formats, ingest
from ta_lab2.bars.formats import opening
from ta_lab2.settings import settings
from tests.support import prices

HEADER = "date,ticker,open,high,low,close,volume"
ROW = "2020-01-01,BTC,1,3,0.5,2,10"
TEXT = f"{HEADER}\n{ROW}\n".encode()


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """Let the settings mean a database that does not answer: a refusal comes before it is asked."""
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def refused(capsys):
    def run(*words):
        capsys.readouterr()
        assert cli.run(["ingest", *map(str, words)]) == 2
        return " ".join(capsys.readouterr().err.split())

    return run


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def zipped(folder, files, *, name="prices.zip", method=zipfile.ZIP_DEFLATED):
    path = folder / name
    with zipfile.ZipFile(path, "w", method) as archive:
        for inside, content in files.items():
            archive.writestr(inside, content)
    return path


def found(path, *more):
    return [(file.asset_id, file.path) for file in ingest.find([str(path), *map(str, more)])]


@pytest.mark.parametrize("name", ["1_bitcoin.csv.gz", "1_bitcoin.csv"])
def test_gzip_is_read_whatever_the_name_says(tmp_path, name):
    path = write(tmp_path, name, gzip.compress(TEXT))
    file = formats.recognise(path)
    assert [(number, raw) for number, raw, _, _ in file.lines()] == [(2, ROW)]
    assert file.path == path


def test_every_price_file_of_an_archive_is_one_of_its_own(tmp_path):
    files = {"b/2_litecoin.csv": TEXT, "1_bitcoin.csv": TEXT, "README.txt": b"not prices"}
    path = zipped(tmp_path, {**files, "__MACOSX/1_bitcoin.csv": b"", "b/.3_x.csv": b"", "c/": b""})
    assert found(path) == [(1, path / "1_bitcoin.csv"), (2, path / "b" / "2_litecoin.csv")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_archive_may_name_the_asset_of_what_is_in_it(tmp_path, method):
    path = zipped(tmp_path, {"BTCUSDT.csv": TEXT}, name="1_bitcoin.zip", method=method)
    assert found(path) == [(1, path / "BTCUSDT.csv")]


def test_a_folder_comes_first_and_then_the_folders_in_it_one_level_deep(tmp_path):
    for name in ("b/3_c.csv", "a/10_d.csv", "a/9_e.csv", "2_b.csv", "a/deep/7_f.csv"):
        prices.daily(tmp_path, ROW, name=name)
    write(tmp_path, "1_a.csv.gz", gzip.compress(TEXT))
    write(tmp_path, ".4_g.csv", b"hidden")
    (tmp_path / ".git").mkdir()
    assert [asset for asset, _ in found(tmp_path)] == [1, 2, 9, 10, 3]


def test_a_long_line_is_cut_and_costs_itself_alone(tmp_path):
    cells = "2020-01-02,BTC,1,3,0.5,2,".ljust(opening.LINE_LIMIT, "1")
    path = prices.daily(tmp_path, cells + "1", ROW, cells)
    rows = [(number, fault) for number, _, fault, _ in formats.recognise(path).lines()]
    assert rows == [(2, "longer than 65,536 bytes"), (3, None), (4, None)]


@pytest.mark.parametrize("size", [50_000_000, pytest.param(10**9, marks=pytest.mark.slow)])
def test_a_line_of_a_gigabyte_does_not_take_a_gigabyte(tmp_path, size):
    path = write(tmp_path, "1_bitcoin.csv", TEXT)
    with path.open("r+b") as file:
        file.truncate(size)
        file.seek(0, io.SEEK_END)
        file.write(f"\n{ROW}".encode())
    tracemalloc.start()
    rows = [(number, fault) for number, _, fault, _ in formats.recognise(path).lines()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == [(2, None), (3, "longer than 65,536 bytes"), (4, None)]
    assert peak < 32_000_000


# Bombs


def bomb(megabytes):
    packed = io.BytesIO()
    with gzip.open(packed, "wb", 9) as file:
        file.write(TEXT)
        for _ in range(megabytes):
            file.write(b"0" * 2**20)
    return packed.getvalue()


def test_a_file_that_unpacks_to_much_more_than_itself_is_refused(tmp_path, refused):
    path = write(tmp_path, "1_bitcoin.csv.gz", bomb(64))
    tracemalloc.start()
    said = refused(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "1_bitcoin.csv.gz is no file of daily prices: it has more than 8,388,608 bytes" in said
    assert peak < 32_000_000


def test_a_small_file_that_packs_well_is_no_bomb(tmp_path):
    assert found(write(tmp_path, "1_bitcoin.csv.gz", gzip.compress(TEXT + b"\n" * 5_000)))


def test_an_archive_that_unpacks_to_much_more_than_itself_is_refused(tmp_path, refused):
    path = zipped(tmp_path, {"1_bitcoin.csv": TEXT + b"0" * 12 * 2**20})
    assert "is no file of daily prices" in refused(path)


def test_an_archive_that_says_it_is_too_large_is_refused_unread(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(opening, "SIZE_LIMIT", 100)
    path = zipped(tmp_path, {"1_bitcoin.csv": TEXT, "2_litecoin.csv": TEXT})
    assert f"it has {2 * len(TEXT)} bytes once unpacked" in refused(path)


def test_an_archive_whose_files_overlap_is_refused_unread(tmp_path, refused):
    path = tmp_path / "prices.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1_a.csv", TEXT * 100)
        (info,) = archive.infolist()
        for number in range(2, 20):
            twin = copy.copy(info)
            twin.filename = f"{number}_a.csv"
            archive.filelist.append(twin)
    assert "is no file of daily prices" in refused(path)


def test_an_archive_of_very_many_files_is_refused_unread(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(opening, "MEMBERS_LIMIT", 2)
    path = zipped(tmp_path, {f"{number}_a.csv": TEXT for number in (1, 2, 3)})
    assert "it has more than 2 files in it" in refused(path)


@pytest.mark.parametrize(
    ("limit", "said"), [("SIZE_LIMIT", "more than 50 bytes"), ("LINES_LIMIT", "more than 50 lines")]
)
def test_a_file_that_is_too_large_is_refused(tmp_path, refused, monkeypatch, limit, said):
    monkeypatch.setattr(opening, limit, 50)
    assert said in refused(prices.daily(tmp_path, *[ROW] * 60))


# What cannot be read


def encrypted(folder):
    """A zip file whose flags say that it has a password."""
    path = zipped(folder, {"1_bitcoin.csv": TEXT})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return write(folder, path.name, bytes(content))


BROKEN = {
    "a gzip file that is cut off": (
        lambda folder: write(folder, "1_a.csv.gz", gzip.compress(TEXT)[:-12]),
        "1_a.csv.gz is broken or cut off",
    ),
    "a gzip file with a wrong sum": (
        lambda folder: write(folder, "1_a.csv.gz", gzip.compress(TEXT)[:-8] + bytes(8)),
        "1_a.csv.gz is broken or cut off: CRC check failed",
    ),
    "a gzip file of nothing": (
        lambda folder: write(folder, "1_a.csv.gz", gzip.compress(b"")),
        "1_a.csv.gz is empty",
    ),
    "a gzip file in a gzip file": (
        lambda folder: write(folder, "1_a.csv.gz", gzip.compress(gzip.compress(TEXT))),
        "1_a.csv.gz is an archive in an archive",
    ),
    "an archive with a password": (encrypted, "prices.zip has a password: 1_bitcoin.csv"),
    "an archive in an archive": (
        lambda folder: zipped(folder, {"1_a.csv": TEXT, "more.ZIP": b""}),
        "prices.zip has an archive in it: more.ZIP",
    ),
    "an archive in disguise in an archive": (
        lambda folder: zipped(folder, {"1_a.csv": gzip.compress(TEXT)}),
        "1_a.csv is an archive in an archive",
    ),
    "an archive of nothing": (lambda folder: zipped(folder, {}), "no .csv file is in it"),
    "an archive with an empty file": (
        lambda folder: zipped(folder, {"1_a.csv": TEXT, "2_b.csv": b""}),
        "prices.zip/2_b.csv is empty",
    ),
    "an archive of a spreadsheet": (
        lambda folder: zipped(folder, {"xl/workbook.xml": b"x"}, name="1_a.csv"),
        "1_a.csv is a spreadsheet",
    ),
    "an archive that is cut off": (
        lambda folder: write(
            folder, "1_a.zip", zipped(folder, {"1_a.csv": TEXT}).read_bytes()[:-30]
        ),
        "1_a.zip is no zip archive that can be read",
    ),
    "an archive with a wrong sum": (
        lambda folder: write(
            folder,
            "1_a.zip",
            zipped(folder, {"1_a.csv": TEXT}, method=zipfile.ZIP_STORED)
            .read_bytes()
            .replace(b"BTC", b"BTX"),
        ),
        "1_a.csv is broken or cut off: Bad CRC-32",
    ),
    "an empty file": (lambda folder: write(folder, "1_a.csv", b""), "1_a.csv is empty"),
    "a file of white space": (lambda folder: write(folder, "1_a.csv", b"\n \n"), "is empty"),
    "a file of zero bytes": (lambda folder: write(folder, "1_a.csv", bytes(99)), "not a text file"),
    "a file in UTF-16": (
        lambda folder: write(folder, "1_a.csv", TEXT.decode().encode("utf-16")),
        "not a text file",
    ),
    "a wrong header": (
        lambda folder: write(folder, "1_a.csv", b"when,what\n"),
        "no header that is known: when,what",
    ),
    "a header that is not UTF-8": (
        lambda folder: write(folder, "1_a.csv", b"date,\xff\n"),
        "no header that is known: date,\\xff",
    ),
    "a header whose quotes do not match": (
        lambda folder: write(folder, "1_a.csv", b'"date,open\n'),
        'no header that is known: "date,open',
    ),
    "a header with a column missing": (
        lambda folder: write(folder, "1_a.csv", TEXT.replace(b",volume", b"")),
        "For cmc-daily it lacks volume",
    ),
    "a folder of nothing": (lambda folder: folder, "the folder has no files that end in .csv"),
    "a folder that is called like a file": (
        lambda folder: (folder / "1_a.csv").mkdir() or folder / "1_a.csv",
        "the folder has no files",
    ),
    "no file": (lambda folder: folder / "1_a.csv", "there is no such file"),
}


@pytest.mark.parametrize(("make", "said"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_taken_is_one_clear_sentence(tmp_path, refused, make, said):
    told = refused(make(tmp_path))
    assert said in told
    assert "Traceback" not in told


def test_a_file_or_folder_without_permission_is_named(refused):
    # The folder of the tests is root's alone.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    path = prices.daily(folder / "kept", ROW)
    other = prices.daily(folder, ROW)
    for each in (path.parent, other):
        each.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        assert f"{other} cannot be read: Permission denied" in refused(other)
        assert f"{path} cannot be read: Permission denied" in refused(path)
        assert f"{path.parent} cannot be read: Permission denied" in refused(path.parent)
    finally:
        os.seteuid(user)
        path.parent.chmod(0o755)
        shutil.rmtree(folder)


def test_a_pipe_is_no_file(tmp_path, refused):
    os.mkfifo(tmp_path / "1_a.csv")
    assert "1_a.csv is no file" in refused(tmp_path / "1_a.csv")


def test_a_name_inside_an_archive_stays_inside_it(tmp_path):
    path = zipped(tmp_path, {"/etc/1_a\n.csv": TEXT}, name="1_bitcoin.zip")
    assert found(path) == [(1, path / "etc" / "1_a?.csv")]


def test_one_bad_file_in_an_archive_refuses_all(tmp_path, refused):
    path = zipped(tmp_path, {"1_a.csv": TEXT, "2_b.csv": b"x,y", "3_c.csv": TEXT, "d.csv": TEXT})
    told = refused(path)
    assert "2 of 4 files cannot be taken, and nothing was loaded" in told
    assert "2_b.csv" in told
    assert "d.csv: the name does not say which asset" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "excel"], "there is no format excel"),
        (["--format", "yahoo"], "no header that is known"),
        (["--format", "plain", "--mapping", "x.toml"], "exclude each other"),
        (["--mapping", "x.toml"], "x.toml cannot be read: No such file"),
        (["--asset-id", "99999999999"], "less than or equal to 2147483647"),
        (["--asset-id", "0"], "greater than or equal to 1"),
        (["--asset-id", "2"], "its name says asset 1, --asset-id says 2"),
        (["--slug", " "], "--slug has to be a name"),
        (["--symbol", "a\nb"], "--symbol has to be a name"),
        (["--undo", "6f1c0d6e-9d4a-4b0e-8f3e-2b8a4c1d7e55", "--slug", "x"], "nothing else"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, refused, words, said):
    told = refused(prices.daily(tmp_path, ROW), *words)
    assert said in told.replace("│ ", "")


def test_a_layout_that_could_come_from_anywhere_needs_its_source(tmp_path, refused, capsys):
    path = prices.write(
        tmp_path, "1_bitcoin.csv", ["date,open,high,low,close", "2020-01-01,1,3,1,2"]
    )
    assert "does not say where the prices come from" in refused(path)
    assert cli.run(["ingest", "--dry-run", str(path)]) == 0
    assert "source   not known: name it with --source" in capsys.readouterr().out
