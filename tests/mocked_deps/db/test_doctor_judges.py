"""What the doctor makes of values that no server at hand has."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ta_lab2.db.doctor import SEVERITIES, Finding, Mend, extensions, python, server
from ta_lab2.db.doctor.finding import Setting, in_order, server_setting

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"

GOOD_SERVER = server.Server(
    version=170012,
    database="ta_lab2",
    settings={
        name: Setting(value, "configuration file")
        for name, value in {
            "cron.database_name": "ta_lab2",
            "cron.max_running_jobs": "5",
            "cron.use_background_workers": "on",
            "data_checksums": "on",
            "jit": "off",
            "max_worker_processes": "24",
            "shared_preload_libraries": "timescaledb,pg_cron",
            "timescaledb.max_background_workers": "16",
            "TimeZone": "UTC",
        }.items()
    },
    available={"timescaledb": "2.19.3", "vector": "0.8.0", "plpython3u": "1.0", "pg_cron": "1.6"},
    installed={"timescaledb": "2.19.3", "vector": "0.8.0", "plpython3u": "1.0", "pg_cron": "1.6"},
)
GOOD_PYTHON = python.Python(
    version=(3, 13, 5),
    packages={"numpy": "2.2.4", "scipy": "1.15.3"},
    reasons={},
    features=("AVX2", "FMA3"),
    environment=("PATH", "POSTGRES_PASSWORD_FILE", "PGPASSFILE"),
)


def with_settings(source: str = "configuration file", **values: str) -> server.Server:
    """Return the good server with other values, given with two underscores for a full stop."""
    changed = {name.replace("__", "."): Setting(value, source) for name, value in values.items()}
    return replace(GOOD_SERVER, settings=GOOD_SERVER.settings | changed)


def only(findings: list[Finding]) -> tuple[Finding, Mend]:
    (found,) = findings
    assert found.mend
    return found, found.mend


def test_a_good_server_and_a_good_python_have_no_findings() -> None:
    assert list(server.judge(GOOD_SERVER)) == []
    assert list(extensions.judge(GOOD_SERVER)) == []
    assert list(python.judge(GOOD_PYTHON)) == []
    assert server.wrong_version(170000) is None


@pytest.mark.parametrize(
    ("version", "said", "line"),
    [
        (160004, "PostgreSQL 16", "pg_upgradecluster --rename=ta_lab2 -v 17 16 main"),
        (180001, "PostgreSQL 18", "env -u TA_LAB2_DATABASE_URL ta-lab2 db up"),
        (90624, "PostgreSQL 9", "pg_upgradecluster --rename=ta_lab2 -v 17 9.6 main"),
    ],
)
def test_another_version_is_an_error_with_the_way_to_ours(
    version: int, said: str, line: str
) -> None:
    finding = server.wrong_version(version)
    assert finding
    assert finding.mend
    assert finding.severity == "error"
    assert said in finding.what
    assert line in finding.mend.line


def test_a_python_older_than_3_10_is_an_error() -> None:
    found, _ = only(list(python.judge(replace(GOOD_PYTHON, version=(3, 9, 2)))))
    assert found.code == "python-version"
    assert "3.9.2" in found.what


def test_the_oldest_supported_versions_of_the_packages_are_enough() -> None:
    oldest = {"numpy": "1.21.5", "scipy": "1.8.0"}
    assert list(python.judge(replace(GOOD_PYTHON, version=(3, 10, 0), packages=oldest))) == []


def test_telemetry_of_the_community_edition_is_switched_off() -> None:
    telling = with_settings(timescaledb__telemetry_level="basic")
    found, mend = only(list(server.judge(telling)))
    assert found.code == "telemetry"
    assert mend.line == "alter system set timescaledb.telemetry_level = 'off'"
    assert mend.needs == "reload"
    assert list(server.judge(with_settings(timescaledb__telemetry_level="off"))) == []


@pytest.mark.parametrize(
    ("edition", "follows"), [("timescale", "continuous aggregates"), ("apache", "kept tables")]
)
def test_the_edition_is_said_with_what_follows(edition: str, follows: str) -> None:
    (found,) = extensions.judge(with_settings(timescaledb__license=edition))
    assert (found.code, found.severity, found.mend) == ("edition", "info", None)
    assert follows in found.what


def test_rollups_of_the_other_edition_are_turned_round_by_migrating() -> None:
    apache = with_settings(timescaledb__license="apache")
    _, found = extensions.judge(replace(apache, rollups="continuous"))
    assert (found.code, found.severity) == ("rollups", "error")
    assert found.mend
    assert found.mend.line == "ta-lab2 db migrate"
    assert len(list(extensions.judge(replace(apache, rollups="kept")))) == 1
    community = with_settings(timescaledb__license="timescale")
    (said,) = extensions.judge(replace(community, rollups="kept"))
    assert "still kept tables" in said.what
    (said,) = extensions.judge(replace(community, rollups="continuous"))
    assert "still kept tables" not in said.what


def test_a_library_that_is_not_there_is_never_preloaded() -> None:
    """The server would not start any more."""
    loaded = {"timescaledb.max_background_workers", "cron.database_name"}
    bare = {name: value for name, value in GOOD_SERVER.settings.items() if name not in loaded}
    bare["shared_preload_libraries"] = Setting("", "default")
    without_cron = {
        name: there for name, there in GOOD_SERVER.available.items() if name != "pg_cron"
    }
    lacking = replace(GOOD_SERVER, settings=bare, available=without_cron)
    found, mend = only(list(server.judge(lacking)))
    assert found.code == "preload"
    assert mend.line == "alter system set shared_preload_libraries = 'timescaledb'"


def test_where_alter_system_is_forbidden_the_line_is_for_the_file() -> None:
    managed = with_settings(allow_alter_system="off", cron__use_background_workers="off")
    _, mend = only(list(server.judge(managed)))
    assert (mend.kind, mend.line) == ("conf", "cron.use_background_workers = 'on'")


def test_a_list_keeps_what_it_has_and_each_name_is_a_literal_of_its_own() -> None:
    values = ["auto_explain", "it's", "pg_cron"]
    mend = server_setting("shared_preload_libraries", values, needs="restart")
    assert mend.line.endswith("= 'auto_explain', 'it''s', 'pg_cron'")


def test_a_standby_with_a_primary_names_it() -> None:
    standby = replace(GOOD_SERVER, is_standby=True, primary="db1:5432")
    _, mend = only(list(server.judge(standby)))
    assert mend.line == "ta-lab2 db doctor postgresql://db1:5432/ta_lab2"


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD", "PYTHONPATH"],
)
def test_names_that_are_keys_are_found_in_the_environment(name: str) -> None:
    found, mend = only(list(python.judge(replace(GOOD_PYTHON, environment=("PATH", name)))))
    assert (found.code, mend.line) == ("environment-leak", f"unset {name}")


def test_other_bits_without_avx512_switch_off_every_faster_path_and_keep_what_is_off() -> None:
    odd = replace(GOOD_PYTHON, other_bits=("exp", "log"), disabled="AVX512F")
    found, mend = only(list(python.judge(odd)))
    assert found.code == "numpy-arithmetic"
    assert mend.line == "NPY_DISABLE_CPU_FEATURES='AVX512F AVX2 FMA3'"


def test_findings_come_in_the_order_in_which_they_are_mended() -> None:
    codes = ["extension-missing", "preload", "extension-unavailable", "server-version"]
    ordered = [finding.code for finding in in_order([Finding(code, "") for code in codes])]
    assert ordered == ["server-version", "extension-unavailable", "preload", "extension-missing"]


def test_the_page_lists_every_finding_with_its_severity_in_order() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == list(SEVERITIES.items()), f"bring {PAGE} up to date"


def test_every_code_in_the_source_is_listed_and_every_listed_code_is_used() -> None:
    folder = Path(server.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    made = re.findall(r'Finding\(\s*"([a-z0-9-]+)"', source)
    made += re.findall(r'"([a-z-]+)" if name == .* else "([a-z-]+)"', source)[0]
    assert set(made) == set(SEVERITIES)
