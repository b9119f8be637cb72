"""``docs/deployment.md`` lists every variable, with the words of the code, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ta_lab2.errors import Refused
from ta_lab2.settings import Settings, settings

DOCS = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text()
ROWS = dict(re.findall(r"^\| `(TA_LAB2_\w+)` \| .*? \| (.+?) \|$", DOCS, re.MULTILINE))
TEST_ONLY = set(re.findall(r"^\| `(TA_LAB2_\w+)` \| [^|]+ \|$", DOCS, re.MULTILINE))


def test_the_page_and_the_code_know_the_same_variables():
    assert set(ROWS) - TEST_ONLY == {f"TA_LAB2_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_says_what_the_code_says(name):
    said = Settings.model_fields[name].description
    assert said
    assert ROWS[f"TA_LAB2_{name.upper()}"].startswith(said.rstrip("."))


def test_the_variables_of_the_tests_are_the_ones_that_tests_read():
    tests = Path(__file__).parents[1]
    read = {
        name
        for path in tests.rglob("*.py")
        for name in re.findall(r"TA_LAB2_TEST_\w+|TA_LAB2_DATA\b", path.read_text())
    } - {"TA_LAB2_TEST_"}
    assert read == TEST_ONLY


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "80"),
        ("PORT", "many"),
        ("RUNTIME", "podman"),
        ("PROJECT", "A b"),
        ("DATABASE", "x;"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(f"TA_LAB2_{variable}", value)
    settings.cache_clear()
    with pytest.raises(Refused, match=f"TA_LAB2_{variable} does not fit"):
        settings()
    settings.cache_clear()


def test_a_password_in_a_url_is_never_shown(monkeypatch):
    monkeypatch.setenv("TA_LAB2_DATABASE_URL", "postgresql://me:hunter2@localhost/db")
    assert "hunter2" not in repr(Settings())
