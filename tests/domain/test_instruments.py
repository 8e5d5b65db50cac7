"""Which markets are of one index."""

import pytest

from trader.domain.instruments import INSTRUMENTS, index_symbol
from trader.errors import ConfigurationError


def test_micro_contracts_are_of_their_e_minis_index():
    """Every market of the table has one."""
    expected = {"ES": "ES", "NQ": "NQ", "YM": "YM", "RTY": "RTY", "MES": "ES", "MNQ": "NQ", "MYM": "YM", "M2K": "RTY"}
    assert {symbol: index_symbol(symbol) for symbol in INSTRUMENTS} == expected


def test_an_unknown_market_has_no_index():
    """It is refused with the names that are known."""
    with pytest.raises(ConfigurationError, match="MNQ"):
        index_symbol("XX")
