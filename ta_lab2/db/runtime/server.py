"""What every server of ours is started with, whichever runtime runs it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import psutil

MIB = 1024**2
GIB = 1024**3

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        # numpy's AVX-512 loops round differently from the others, so that the same history would
        # give other digits on another processor. The names are those that numpy 1.21 to 2.2
        # all know, in x86 builds (AVX512_SPR, which 1.21 lacks, is for half precision only).
        "NPY_DISABLE_CPU_FEATURES": (
            "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
        ),
        # numpy before 1.24 warns in every session where the processor has none of them.
        "PYTHONWARNINGS": "ignore:During parsing environment variable:RuntimeWarning",
    }
)

INITDB: tuple[str, ...] = (
    "--username=postgres",
    "--encoding=UTF8",
    # The built-in provider compares bytes and depends on no library's version.
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--data-checksums",
    "--auth-local=peer",
    "--auth-host=scram-sha-256",
)


def settings(*, memory: int, cores: int, cron_database: str) -> dict[str, str]:
    """Return the server's settings for a machine with so many bytes of memory and cores.

    Half of the memory is left to whatever else runs on the machine. The values suit
    ``postgres -c name=value`` and, quoted, a configuration file.
    """
    return {
        "shared_preload_libraries": "timescaledb,pg_cron",
        "cron.database_name": cron_database,
        "cron.use_background_workers": "on",
        "timescaledb.telemetry_level": "off",
        "timescaledb.max_background_workers": "8",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # Measured: compiling plans brings nothing to these queries and costs their start.
        "jit": "off",
        "shared_buffers": _size(memory / 4, at_least=128 * MIB, at_most=8 * GIB),
        "effective_cache_size": _size(memory / 2, at_least=256 * MIB, at_most=64 * GIB),
        "maintenance_work_mem": _size(memory / 16, at_least=64 * MIB, at_most=GIB),
        "work_mem": _size(memory / 256, at_least=4 * MIB, at_most=64 * MIB),
        "max_wal_size": "4GB",
        "wal_compression": "lz4",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        # TimescaleDB's eight, pg_cron's launcher and its five jobs, and the parallel workers
        # share this pool; the default of 8 starves the jobs.
        "max_worker_processes": str(16 + cores),
        "max_parallel_workers": str(cores),
        "max_parallel_workers_per_gather": str(max(1, min(4, cores // 2))),
        # A statement that touches every chunk of a hypertable locks each of them.
        "max_locks_per_transaction": "256",
    }


def _size(wanted: float, *, at_least: int, at_most: int) -> str:
    """Return a size in whole megabytes, as PostgreSQL writes it."""
    return f"{int(min(max(wanted, at_least), at_most)) // MIB}MB"


def machine(cgroup: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """Return the bytes of memory and the cores that this process may use."""
    memory = psutil.virtual_memory().total
    # Missing: no control group of the second version. No number: the limit is "max".
    with suppress(OSError, ValueError):
        memory = min(memory, int((cgroup / "memory.max").read_text()))
    return memory, len(psutil.Process().cpu_affinity() or ()) or psutil.cpu_count() or 1
