"""The list of kinds, and what is checked and named by it."""

from __future__ import annotations

import re

import psycopg
import pytest
from psycopg.types.json import Jsonb


def parameters(tx, kind, given):
    return tx.execute("select indicators.parameters(%s, %s)", (kind, Jsonb(given))).fetchone()[0]


def test_parameters_that_are_not_given_have_their_default(tx):
    assert parameters(tx, "macd", {"slow": 30}) == {"fast": 12, "slow": 30, "signal": 9}


def test_equal_parameters_are_equal_objects(tx):
    same = tx.execute(
        """
        select indicators.parameters('rsi', '{"period": 14.00}')::text
            = indicators.parameters('rsi', '{}')::text
        """
    ).fetchone()
    assert same == (True,)


@pytest.mark.parametrize(
    ("kind", "given", "state", "says"),
    [
        ("rsx", {}, "TA301", 'there is no indicator "rsx"'),
        (None, {}, "TA301", "there is no indicator null"),
        ("rsi", [], "TA302", "the parameters of rsi are no object"),
        ("rsi", None, "TA302", "the parameters of rsi are no object"),
        ("rsi", {"perid": 14}, "TA303", 'rsi has no parameter "perid"'),
        ("rsi", {"period": 0}, "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi", {"period": -1}, "TA304", "period must be a whole number from 2 to 1000 for rsi"),
        ("rsi", {"period": 10000}, "TA304", "period must be a whole number from 2 to 1000"),
        ("rsi", {"period": 14.5}, "TA304", "period must be a whole number from 2 to 1000"),
        ("rsi", {"period": "14"}, "TA304", "period must be a whole number from 2 to 1000"),
        ("rsi", {"period": None}, "TA304", "period must be a whole number from 2 to 1000"),
        ("bollinger", {"deviations": 0}, "TA304", "deviations must be a number from 0.01 to 100"),
        ("macd", {"fast": 30}, "TA305", "fast must be less than slow for macd"),
    ],
)
def test_what_cannot_be_is_refused(tx, kind, given, state, says):
    with pytest.raises(psycopg.Error, match=says) as caught:
        parameters(tx, kind, given)
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_hint


def test_columns_are_named_by_kind_and_parameters(tx):
    def names(kind, given):
        return tx.execute(
            "select indicators.column_names(%s, %s)", (kind, Jsonb(given))
        ).fetchone()[0]

    assert names("rsi", {}) == ["rsi_14"]
    assert names("macd", {"fast": 8, "slow": 17}) == [
        "macd_8_17_9",
        "macd_signal_8_17_9",
        "macd_hist_8_17_9",
    ]
    assert names("bollinger", {"deviations": 2.5})[0] == "bb_upper_20_2p5"
    assert names("bollinger", {"deviations": 2.0})[0] == "bb_upper_20_2"


def test_the_list_is_whole(tx):
    found = tx.execute("select k.* from indicators.kinds() as k").fetchall()
    templates = [name for row in found for name in row[3]]
    assert len({row[0] for row in found}) == len(found)
    assert len({re.sub(r"\{\w+\}", "", name) for name in templates}) == len(templates)
    for kind, rules, outputs, columns, description in found:
        assert len(outputs) == len(columns)
        assert len(set(outputs)) == len(outputs)
        assert description.endswith(".")
        for name, rule in rules.items():
            assert rule["min"] <= rule["default"] <= rule["max"], (kind, name)
            assert isinstance(rule["integer"], bool)
            assert rule.get("below") in {None, *rules}
            assert all("{" + name + "}" in column for column in columns), (kind, name)
        for column in columns:
            # A name is at most 63 characters long, whatever the parameters.
            assert re.fullmatch(r"[a-z][a-z0-9_]*", re.sub(r"\{\w+\}", "1000p25", column))
            assert len(re.sub(r"\{\w+\}", "1000p25", column)) <= 63
        assert parameters(tx, kind, {}) == {name: rule["default"] for name, rule in rules.items()}
