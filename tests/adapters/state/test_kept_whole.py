"""Everything that the line remembers from bar to bar has its place in a record: what is added must be kept as well."""

import pytest
from builders import ASK_RULES, ORDER_LIMITS, some_terms
from msgspec import Struct
from state_builders import BOOK

from trader.adapters.paper_broker import PaperBroker, PaperState
from trader.adapters.state.books import book_row, restore_book
from trader.adapters.state.records import BookRow, KeptAnswers, LineMemory
from trader.advisor.cache import AdviceCache, CacheRules, CacheState
from trader.advisor.gate import Gate, GateMemory
from trader.book import Book
from trader.domain.actions import Side
from trader.domain.instruments import INSTRUMENTS
from trader.domain.orders import Fill
from trader.entering import Entering, EnteringState
from trader.errors import StateDamagedError
from trader.holding import Holding, HoldingState
from trader.risk.gate import GateState, OrderGate
from trader.round_trip import RoundTrip, RoundTripState
from trader.router import Router, RouterState

NQ = INSTRUMENTS["NQ"]
TERMS = some_terms().as_row(NQ)


def a_router() -> Router:
    """A router as it begins."""
    return Router(Book(TERMS), OrderGate(ORDER_LIMITS), NQ.tick_value_cents)


GIVEN = {
    PaperBroker: {"_ticks_per_point", "_slippage", "_forced_slippage", "_through", "_commission_cents", "_listener"}
    | {"_faults"},
    OrderGate: {"_limits", "_figures"},
    # What a bar has brought is drained by the end of it, and what was prepared has left.
    Router: {"_book", "_outbox", "orders", "fills", "trades", "executions", "refused", "unfilled"}
    | {"adjustments", "foreign", "on_refused"},
    Entering: {"_book", "_outbox", "_holding"},
    Holding: {"_book", "_outbox", "_news", "spares_foreign"},
    RoundTrip: {"_book", "_tick_value_cents"},
    Gate: {
        "_is_enabled",
        "_is_selective",
        "_threshold",
        "_interval_bars",
        "_cooldown_bars",
        "_wanted",
        "_asked_by_set",
    },
    AdviceCache: {"_lasts_ns", "_decay", "_prefix", "_keyed", "_key", "hits", "evictions"},
}
"""What configuration, the broker or the next bar gives."""

RENAMED = {
    "_qty": "position_qty",
    "_ref": "order_ref",
    "_close": "closing",
    "_stop": "stop_ticks",
    "_target": "target_ticks",
}


@pytest.mark.parametrize(
    ("thing", "state"),
    [
        (PaperBroker(NQ, TERMS, a_router()), PaperState),
        (a_router(), RouterState),
        (a_router()._entering, EnteringState),
        (a_router()._holding, HoldingState),
        (a_router()._holding._trip, RoundTripState),
        (OrderGate(ORDER_LIMITS), GateState),
        (AdviceCache(CacheRules(cache_minutes=5, reuse_decay=0.8), "rules@1"), CacheState),
        (Gate(ASK_RULES, Book(TERMS).view()), GateMemory),
    ],
    ids=["paper broker", "router", "entering", "holding", "round trip", "order gate", "cache", "advisor's gate"],
)
def test_all_that_is_remembered_has_a_field(thing: object, state: type[Struct]) -> None:
    """An attribute that is new here is either given at the next start, or needs its field and a migration."""
    remembered = {RENAMED.get(name, name.removeprefix("_")) for name in set(vars(thing)) - GIVEN[type(thing)]}
    if isinstance(thing, Router):
        remembered = remembered - {"entering"} | set(EnteringState.__struct_fields__)
    assert remembered == set(state.__struct_fields__)


def test_states_have_a_record_with_their_fields() -> None:
    """What a part gives to be kept is kept whole."""
    assert LineMemory.__struct_fields__ == ("router",)
    assert set(CacheState.__struct_fields__) - {"identity"} <= set(KeptAnswers.__struct_fields__)


def test_book_is_the_same_after_a_restart() -> None:
    """In its view, and in the rows that the kernels go on with."""
    book = Book(TERMS)
    book.renew()
    fill = Fill(
        order_ref="d1",
        nth=1,
        side=Side.BUY,
        qty=1,
        remaining_qty=0,
        price_ticks=48_000,
        commission_cents=225,
        ts_ns=60,
    )
    book.apply(fill)
    book.set_bracket(30, 90)
    again = Book(TERMS)
    assert again.view() != book.view()
    restore_book(again, book_row(book))
    assert again.view() == book.view()
    assert book_row(again) == book_row(book)
    assert set(vars(book)) == {"terms", "_tick_value_cents", "row", "accounts_used", "_view"}


def test_book_row_of_another_layout_is_refused() -> None:
    """Rather than read a place for another."""
    restore_book(Book(TERMS), BOOK)
    with pytest.raises(StateDamagedError, match="35 places"):
        restore_book(Book(TERMS), BookRow(row=BOOK.row[1:], accounts_used=1))
