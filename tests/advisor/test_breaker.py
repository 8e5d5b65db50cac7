"""When a failing back end is left alone."""

import pytest

from trader.advisor.breaker import Breaker

S = 1_000_000_000


def a_breaker_after(*outcomes: str) -> Breaker:
    """Five errors in a row, 60 s; one outcome a second, from second 1 on."""
    breaker = Breaker(5, 60)
    for second, outcome in enumerate(outcomes, start=1):
        if outcome == "failed":
            breaker.failed(second * S)
        else:
            breaker.succeeded()
    return breaker


def test_breaker_after_four_errors_stays_closed() -> None:
    """Four in a row are borne."""
    assert not a_breaker_after(*["failed"] * 4).refuses(5 * S)


def test_breaker_after_a_success_counts_from_the_start() -> None:
    """Errors count in a row only."""
    assert not a_breaker_after(*["failed"] * 4, "succeeded", *["failed"] * 4).refuses(10 * S)


@pytest.mark.parametrize(("second", "refuses"), [(5, True), (64, True), (65, False), (500, False)])
def test_breaker_after_five_errors_refuses_for_a_minute(second: int, refuses: bool) -> None:
    """The fifth error came at second 5."""
    assert a_breaker_after(*["failed"] * 5).refuses(second * S) is refuses


def test_breaker_half_open_closes_on_success() -> None:
    """One answered retry ends it."""
    breaker = a_breaker_after(*["failed"] * 5)
    breaker.succeeded()
    breaker.failed(66 * S)
    assert not breaker.refuses(66 * S)


def test_breaker_half_open_opens_again_on_one_error() -> None:
    """A failed retry costs another minute."""
    breaker = a_breaker_after(*["failed"] * 5)
    breaker.failed(70 * S)
    assert breaker.refuses(129 * S)
    assert not breaker.refuses(130 * S)
