"""The gateway's account in whole cents."""

from gateway_builders import TERMS

from trader.domain.instruments import instrument
from trader.gateway.account import Account
from trader.gateway.contracts import month

NQ = month(instrument("NQ"), "NQH20")


def test_what_a_fill_closes_is_realized_and_the_rest_turns_the_position() -> None:
    """Bought 2 at 100 and 1 at 103 ticks, sold 2 at 110, then 2 at 90, then bought 1 at 80: 5 dollars a tick."""
    account = Account(TERMS.account)
    fills = [(2, 100), (1, 103), (-2, 110), (-2, 90), (1, 80)]
    realized = [account.book(NQ, qty, price) for qty, price in fills]
    assert realized == [None, None, (220 - 202) * 500, (90 - 101) * 500, (90 - 80) * 500]
    assert account.qty(NQ) == 0
    paid = sum(qty * price for qty, price in fills) * 500 + 8 * 225
    assert account.cash_cents == TERMS.account.start_cents - paid


def test_margin_is_asked_for_what_makes_the_position_larger_only() -> None:
    """100,000 dollars carry five contracts; a way out is always open."""
    account = Account(TERMS.account)
    assert account.can_carry(NQ, 5, 32_000)
    assert not account.can_carry(NQ, -6, 32_000)
    account.book(NQ, 5, 32_000)
    assert account.can_carry(NQ, -5, 16_000)
    assert not account.can_carry(NQ, 1, 32_000)
