"""An installed wheel has all that a checkout has: it can migrate and load."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The wheel's files in a folder of their own, far from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", folder, ROOT),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(unpacked: Path, conninfo: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the wheel's command line; -P and -I would hide it, so the checkout is hidden instead."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ta_lab2.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, unpacked, *words],
        cwd=unpacked,
        env={**os.environ, "TA_LAB2_DATABASE_URL": conninfo},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_ships_every_routine_revision_and_docker_file(unpacked):
    for name in ("sql", "alembic", "docker"):
        listed = subprocess.run(
            ["git", "ls-files", name], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        shipped = unpacked / "ta_lab2" / "_shipped"
        missing = [path for path in listed if not (shipped / path).is_file()]
        assert listed
        assert missing == []


def test_the_wheel_migrates_loads_and_refreshes(unpacked, empty_db, tmp_path):
    prices = tmp_path / "1_bitcoin.csv"
    prices.write_text(
        "date,ticker,open,high,low,close,volume\n"
        "2024-01-01,BTC,1,2,1,2,5\n2024-01-02,BTC,2,4,2,3,5\n"
    )
    for words in (("db", "migrate"), ("ingest", prices), ("refresh",)):
        done = run(unpacked, empty_db, *words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    with psycopg.connect(empty_db) as conn:
        found = conn.execute(
            "select r.ret_pct_1 from features.cmc_returns_daily as r order by r.ts"
        )
        assert found.fetchall() == [(None,), (0.5,)]
