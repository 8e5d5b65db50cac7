"""The book as an object: one view between two changes, several accounts, levels that follow fills."""

from collections.abc import Callable

import pytest
from builders import some_terms

from trader.book import Book
from trader.domain.actions import Side
from trader.domain.instruments import INSTRUMENTS
from trader.domain.orders import Fill
from trader.kernels import book as k

NQ = INSTRUMENTS["NQ"]
MINUTE_NS = 60_000_000_000
TERMS = some_terms().as_row(NQ)


def a_fill(side: Side, price: int, qty: int = 1) -> Fill:
    """An execution with one side's commission a contract."""
    return Fill(
        order_ref="r1",
        nth=1,
        side=side,
        qty=qty,
        remaining_qty=0,
        price_ticks=price,
        commission_cents=225 * qty,
        ts_ns=0,
    )


def a_long() -> Book:
    """One contract bought at 1,000, stop 970, target 1,090."""
    book = Book(TERMS)
    book.apply(a_fill(Side.BUY, 1_000))
    book.set_bracket(30, 90)
    return book


def round_trip(book: Book, ticks: int) -> int:
    """Buy and sell `ticks` higher; the net result in cents."""
    book.apply(a_fill(Side.BUY, 1_000))
    return book.apply(a_fill(Side.SELL, 1_000 + ticks))


def test_view_is_the_same_object_until_something_changes() -> None:
    """Who compares views by identity may trust it."""
    book = a_long()

    assert book.view() is book.view()


CHANGES: dict[str, Callable[[Book], object]] = {
    "fill": lambda book: book.apply(a_fill(Side.SELL, 1_010)),
    "bracket": lambda book: book.set_bracket(20, 60),
    "rest": lambda book: book.rest_bracket(950, 1_100, 30),
    "break-even": lambda book: book.move_to_break_even(),
    "trail on": lambda book: book.set_trailing(on=True),
    "working": lambda book: book.set_working(on=True),
    "stop noted": lambda book: book.note_stop(7 * MINUTE_NS),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_view_is_another_after_each_change(change: Callable[[Book], object]) -> None:
    """No view outlives what it shows, and the old one still shows what was."""
    book = a_long()
    before = book.view()
    change(book)

    assert book.view() != before
    assert (before.position_qty, before.stop_ticks, before.target_ticks) == (1, 970, 1_090)


def test_view_after_a_kernel_has_marked_needs_touch() -> None:
    """The row belongs to the kernels too: they say when it has changed."""
    book = a_long()
    before = book.view()
    k.mark(book.row, book.terms, 1_020, 990, 1_010)
    stale = book.view()
    book.touch()

    assert stale is before
    assert book.view().equity_cents == 5_000_000 - 225 + 10 * 500


def test_view_of_an_open_position_splits_balance_and_unrealized() -> None:
    """Balance: start less the commission paid. Equity adds what the position would bring."""
    book = a_long()
    k.mark(book.row, book.terms, 1_020, 990, 1_012)
    book.touch()
    view = book.view()

    assert (view.balance_cents, view.equity_cents) == (4_999_775, 5_005_775)
    assert (view.mae_ticks, view.mfe_ticks, view.bars_held, view.initial_risk_cents) == (10, 20, 1, 15_000)
    assert (view.adverse_cents, view.peak_cents) == (4_999_775 - 5_000, 5_009_775)


def test_view_of_a_flat_book_keeps_nothing_of_the_trade() -> None:
    """Levels, excursions, risk and age are the open position's."""
    book = a_long()
    k.mark(book.row, book.terms, 1_020, 990, 1_012)
    book.apply(a_fill(Side.SELL, 1_010))
    view = book.view()

    assert (view.entry_ticks, view.stop_ticks, view.target_ticks, view.trailing) == (0, 0, 0, False)
    assert (view.mae_ticks, view.mfe_ticks, view.bars_held, view.initial_risk_cents) == (0, 0, 0, 0)
    assert view.balance_cents == view.equity_cents == 5_000_000 + 4_550


@pytest.mark.parametrize("side", Side)
def test_move_to_break_even_pays_the_costs(side: Side) -> None:
    """Stopped there, slipped by a tick, the trade nets fifty cents on either side."""
    book = Book(TERMS)
    book.apply(a_fill(side, 1_000))
    book.set_bracket(30, 90)
    level = book.move_to_break_even()
    exit_side = Side.SELL if side is Side.BUY else Side.BUY

    assert level == 1_000 + 2 * side
    assert book.apply(a_fill(exit_side, level - side)) == 50


def test_trail_says_where_it_moved_and_when_it_did_not() -> None:
    """Twenty behind the close, only tighter, only while it is on."""
    book = a_long()
    off = book.trail(1_040, 20.0)
    book.set_trailing(on=True)

    assert (off, book.trail(1_040, 20.0), book.trail(1_030, 20.0), book.view().stop_ticks) == (None, 1_020, None, 1_020)


def test_win_rate_is_of_the_last_ten_and_half_without_any() -> None:
    """Ten losses push ten wins out; scratches do not count."""
    book = Book(TERMS)
    fresh = book.view().win_rate
    for _ in range(10):
        round_trip(book, 10)
    for _ in range(4):
        round_trip(book, -10)
    mixed = book.view().win_rate
    for _ in range(6):
        round_trip(book, -10)

    assert (fresh, mixed, book.view().win_rate, book.view().streak) == (0.5, 0.6, 0.0, 10)


def test_begin_session_restarts_what_counts_by_session() -> None:
    """Trades of the session and the equity that the daily limit is measured from; nothing else."""
    book = Book(TERMS)
    round_trip(book, -10)
    before = book.view()
    book.begin_session()
    after = book.view()

    assert (before.trades_in_session, before.session_open_cents) == (1, 5_000_000)
    assert (after.trades_in_session, after.session_open_cents) == (0, 5_000_000 - 5_450)
    assert (after.trades_closed, after.streak) == (1, 1)


def test_renew_begins_at_the_start_balance_and_runs_on() -> None:
    """Balance, equity, peak and threshold are new; results, trades and streak are the run's."""
    book = Book(TERMS)
    round_trip(book, -100)
    book.renew()
    round_trip(book, 10)
    view = book.view()

    assert (view.account_no, book.accounts_used) == (2, 2)
    assert (view.balance_cents, view.threshold_cents, view.breached) == (5_004_550, 4_750_000, False)
    assert (view.realized_cents, view.trades_closed) == (-50_450 + 4_550, 2)


def test_apply_portions_average_exactly() -> None:
    """Bought at 1,000 and twice at 1,001: the entry is shown rounded, the money is not."""
    book = Book(TERMS)
    book.apply(a_fill(Side.BUY, 1_000))
    book.apply(a_fill(Side.BUY, 1_001, qty=2))
    shown = book.view().entry_ticks

    assert (shown, book.position_qty) == (1_001, 3)
    assert book.apply(a_fill(Side.SELL, 1_010, qty=3)) == (10 + 9 + 9) * 500 - 6 * 225
