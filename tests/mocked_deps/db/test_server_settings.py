"""The settings that both runtimes start their server with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.db.runtime import server

GIB = 1024**3


def of(memory: int = 8 * GIB, cores: int = 4) -> dict[str, str]:
    return server.settings(memory=memory, cores=cores, cron_database="ta_lab2")


def megabytes(value: str) -> int:
    return int(value.removesuffix("MB"))


def test_the_settings_that_matter_are_all_there() -> None:
    ours = of()
    assert ours["shared_preload_libraries"] == "timescaledb,pg_cron"
    assert ours["cron.database_name"] == "ta_lab2"
    assert ours["cron.use_background_workers"] == "on"
    assert ours["timescaledb.telemetry_level"] == "off"
    assert ours["jit"] == "off"
    assert ours["timezone"] == "UTC"


def test_memory_follows_the_machine() -> None:
    assert of(8 * GIB)["shared_buffers"] == "2048MB"
    assert of(8 * GIB)["effective_cache_size"] == "4096MB"
    assert of(8 * GIB)["work_mem"] == "32MB"


def test_a_tiny_machine_still_gets_a_server_that_starts() -> None:
    tiny = of(256 * 1024**2, cores=1)
    assert megabytes(tiny["shared_buffers"]) == 128
    assert megabytes(tiny["work_mem"]) == 4
    assert tiny["max_parallel_workers_per_gather"] == "1"


def test_a_huge_machine_is_not_taken_over() -> None:
    huge = of(1024 * GIB, cores=128)
    assert megabytes(huge["shared_buffers"]) == 8 * 1024
    assert megabytes(huge["work_mem"]) == 64
    assert huge["max_parallel_workers_per_gather"] == "4"


@pytest.mark.parametrize("memory", [1, GIB, 3 * GIB + 17, 64 * GIB])
@pytest.mark.parametrize("cores", [1, 2, 64])
def test_no_value_needs_quoting_in_a_shell_or_in_compose(memory: int, cores: int) -> None:
    for name, value in of(memory, cores).items():
        assert re.fullmatch(r"[a-z_.]+", name)
        assert re.fullmatch(r"[A-Za-z0-9_.,-]+", value)


def test_workers_suffice_for_the_jobs_beside_the_parallel_queries() -> None:
    ours = of(cores=8)
    assert int(ours["max_worker_processes"]) - int(ours["max_parallel_workers"]) >= 16


def test_avx_512_is_named_only_by_names_that_the_oldest_numpy_knows() -> None:
    names = server.ENVIRONMENT["NPY_DISABLE_CPU_FEATURES"].split()
    assert "AVX512F" in names
    assert "AVX512_SKX" in names
    # numpy 1.21 knows no AVX512_SPR, and would warn in every session.
    assert "AVX512_SPR" not in names


def test_a_control_group_limits_the_memory(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("123456789\n")
    assert server.machine(tmp_path)[0] == 123456789


@pytest.mark.parametrize("text", ["max\n", None])
def test_without_a_limit_the_machine_counts(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "memory.max").write_text(text)
    memory, cores = server.machine(tmp_path)
    assert memory > 64 * 1024**2
    assert cores >= 1
