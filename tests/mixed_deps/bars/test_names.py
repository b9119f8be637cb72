"""Which asset a word means: a symbol, a name or an id."""

from __future__ import annotations

import pytest

from ta_lab2.bars.names import asset_id, asset_ids
from ta_lab2.errors import Refused


@pytest.fixture
def assets(tx):
    tx.execute("""
        insert into bars.dim_assets (id, symbol, slug)
        values (1, 'BTC', 'bitcoin'), (2, 'LTC', 'litecoin'), (7, 'BTC', 'bitcoin-two'),
            (8, '2', '7')
    """)
    return tx


@pytest.mark.parametrize(
    ("word", "meant"),
    [("ltc", 2), ("LTC", 2), ("Litecoin", 2), ("2", 2), ("bitcoin", 1), ("7", 7), ("8", 8)],
)
def test_a_symbol_a_name_and_an_id_mean_the_asset(assets, word, meant):
    assert asset_id(assets, word) == meant


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("btc", "btc may be one of several assets"),
        ("bit", "there is no asset bit"),
        ("", "an asset is named by nothing"),
    ],
)
def test_a_word_that_means_none_or_several_is_refused(assets, word, says):
    with pytest.raises(Refused, match=says) as refused:
        asset_id(assets, word)
    if word == "btc":
        assert refused.value.hint == "Give the id: 1 (bitcoin), 7 (bitcoin-two)."


def test_words_come_back_in_their_order_and_none_means_all(assets):
    assert asset_ids(assets, ["ltc", "1"]) == [2, 1]
    assert asset_ids(assets, None) is None
    assert asset_ids(assets, []) is None
