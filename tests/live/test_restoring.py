"""What a start does with what was kept: all of it is put back, or the start is refused."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from live_builders import ALONE, Life, bars, read
from msgspec.structs import replace

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import (
    AccountIdentity,
    BrokerName,
    GoodConfiguration,
    Intent,
    IntentState,
    Mode,
    Position,
    State,
)
from trader.domain.actions import Side
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel
from trader.errors import (
    AccessError,
    BundleError,
    ConfigurationError,
    InputError,
    StateDamagedError,
    TraderError,
    UsageError,
)
from trader.kernels import book as k
from trader.live.restoring import Restored, restore
from trader.live.starting import StartKind, choose_start

CONFIGURATION = GoodConfiguration(sha256="ab" * 32, yaml="market: NQ\n", ts_ns=5)


def stops_when(is_there: Callable[[Life], bool], folder: Path) -> Life:
    """A life that has come to the first bar after which this is so."""
    life = Life(folder, ALONE, seed=3)
    for bar in bars():
        asyncio.run(life.live((bar,)))
        if is_there(life):
            life.end()
            return life
    raise AssertionError


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A state with an open position."""
    folder = tmp_path_factory.mktemp("held") / "state"
    stops_when(lambda life: life.parts.book.position_qty != 0, folder)
    return read(folder)


@pytest.fixture(scope="module")
def entering(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A state with an entry on its way."""
    folder = tmp_path_factory.mktemp("entering") / "state"
    stops_when(lambda life: life.parts.router.entry_working, folder)
    return read(folder)


def put_back(state: State, folder: Path, now_ns: int = 1 << 62) -> tuple[Restored, Life]:
    """Restore a state into the parts of a life that has nothing of its own."""
    life = Life(folder, ALONE)
    try:
        return restore(state, life.source, now_ns), life
    finally:
        life.end()


def with_row(state: State, place: int, value: int) -> State:
    """The state with another number in its book."""
    assert state.book is not None
    row = list(state.book.row)
    row[place] = value
    return replace(state, book=replace(state.book, row=tuple(row)))


def test_fresh_state_begins_a_run_and_says_so(tmp_path: Path) -> None:
    """Nothing was kept: nothing is open, no bar is known."""
    life = Life(tmp_path / "state", ALONE)
    life.end()
    assert life.restored == Restored(progress=None, ts_close_ns=0, position_qty=0, open=(), remarks=())


def test_restored_says_where_the_run_goes_on_and_what_is_open(held: State, tmp_path: Path) -> None:
    """The bar, the position, and the orders behind it."""
    assert held.progress is not None
    restored, life = put_back(held, tmp_path / "state")
    assert restored.progress == held.progress
    assert restored.ts_close_ns == held.progress.ts_close_ns
    assert restored.position_qty == life.parts.book.position_qty != 0
    assert restored.open == (
        f"the book holds {restored.position_qty:+d}",
        f"the simulated broker holds {restored.position_qty:+d}",
    )


def cut(**changes: object) -> Callable[[State], State]:
    """A state with sections replaced."""
    return lambda state: replace(state, **changes)


def _line(state: State, **changes: object) -> State:
    assert state.line is not None
    return replace(state, line=replace(state.line, router=replace(state.line.router, **changes)))


def _paper(state: State, **changes: object) -> State:
    assert state.paper is not None
    return replace(state, paper=replace(state.paper, **changes))


def _without_holding(state: State) -> State:
    assert state.line is not None
    holding = state.line.router.holding
    return _line(state, holding=replace(holding, order_ref=""))


def _closing(state: State) -> State:
    assert state.line is not None
    holding = state.line.router.holding
    return _line(state, holding=replace(holding, closing_qty=1))


@pytest.mark.parametrize(
    ("contradict", "named"),
    [
        (cut(book=None), "the sections book are missing"),
        (cut(progress=None, line=None), "progress, line are missing"),
        (cut(paper=None), "paper are missing"),
        (_without_holding, "the router no position"),
        (lambda state: with_row(state, k.QTY, 0), "the book holds [+]0"),
        (lambda state: with_row(state, k.QTY, 2), "the simulated broker [+-]1"),
        (lambda state: _paper(state, order_ref="NQ-1"), "the simulated broker's NQ-1"),
        (lambda state: _paper(state, last=bars()[0]), "the simulated broker's last bar closes"),
        (lambda state: _line(state, bracket=None, entry_working=True), "an entry at work, and no bracket"),
        (lambda state: _line(state, entry_working=True), "None to the simulated broker"),
        (_closing, "1 contracts are being closed"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(
    contradict: Callable[[State], State], named: str, held: State, tmp_path: Path
) -> None:
    """With the two that do, and nothing of the state is put back."""
    life = Life(tmp_path / "state", ALONE)
    before = life.parts.book.view()
    with pytest.raises(StateDamagedError, match=named):
        restore(contradict(held), life.source, 1 << 62)
    assert life.parts.book.view() == before
    assert life.engine.reached().ts_close_ns == 0
    life.end()


def test_state_from_the_future_is_refused(held: State, tmp_path: Path) -> None:
    """The clock is wrong, or the state another's: up to the last bar's close itself it is believed."""
    assert held.progress is not None
    close_ns = held.progress.ts_close_ns
    put_back(held, tmp_path / "now", close_ns)
    with pytest.raises(StateDamagedError, match="see to the clock"):
        put_back(held, tmp_path / "before", close_ns - 1)


def test_entry_on_its_way_is_open(entering: State, tmp_path: Path) -> None:
    """It may be filled at the next bar: a start must know of it."""
    restored, _ = put_back(entering, tmp_path / "state")
    assert restored.position_qty == 0
    assert len(restored.open) == 1
    assert restored.open[0].endswith(" is acknowledged")


def test_start_without_an_error_trades(held: State) -> None:
    """Whatever is open."""
    assert choose_start(held, None).kind is StartKind.TRADE


@pytest.mark.parametrize("error", [ConfigurationError("risk.x"), BundleError("damaged")])
def test_start_with_a_broken_configuration_protects_what_is_open(error: TraderError, held: State) -> None:
    """By the last good configuration; without one, or with nothing open, it is refused and says why."""
    kept = replace(held, configuration=CONFIGURATION)
    start = choose_start(kept, error)
    assert (start.kind, start.why, start.configuration) == (StartKind.PROTECT_ONLY, str(error), CONFIGURATION)
    assert start.open

    flat = replace(with_row(kept, k.QTY, 0), paper=None)
    assert choose_start(flat, error).kind is StartKind.REFUSE
    assert choose_start(flat, error).why == str(error)

    start = choose_start(held, error)
    assert start.kind is StartKind.REFUSE
    assert "there is no earlier configuration to protect by: the book holds" in start.why


def test_start_with_a_broken_model_protects_by_the_present_configuration(held: State) -> None:
    """It could be read, and says how much a position may be: no earlier one takes its place."""
    start = choose_start(replace(held, configuration=CONFIGURATION), BundleError("damaged"), is_readable=True)
    assert (start.kind, start.configuration) == (StartKind.PROTECT_ONLY, None)


@pytest.mark.parametrize(
    "error",
    [AccessError("another process has it"), UsageError("--speed"), InputError("no bars"), StateDamagedError("x")],
)
def test_error_that_is_none_of_configuration_or_model_is_never_overruled(error: TraderError, held: State) -> None:
    """Least of all that the account is another's."""
    assert choose_start(replace(held, configuration=CONFIGURATION), error).kind is StartKind.REFUSE


BRACKET = Bracket(
    order_ref="NQH9-1",
    side=Side.BUY,
    qty=1,
    stop_distance_ticks=20,
    target_distance_ticks=60,
    stop_ticks=47_980,
    target_ticks=48_060,
)


def empty(folder: Path) -> State:
    """A state with nothing in it, of an account at the real broker."""
    me = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account="DU1234567", instrument="NQ")
    state = StateDb(folder / "state", me)
    try:
        return state.snapshot()
    finally:
        state.close()


@pytest.mark.parametrize("state", IntentState)
def test_order_that_may_be_at_work_keeps_a_start_from_being_refused(state: IntentState, tmp_path: Path) -> None:
    """One that has ended does not, nor one that only moves another or takes it back."""
    may_work = {IntentState.INTENDED, IntentState.SENT, IntentState.ACKNOWLEDGED, IntentState.UNRESOLVED}
    amend = Amend(order_ref="NQH9-1", cause=AmendCause.TRAIL, stop_ticks=1, target_ticks=2)
    for order, counts in ((BRACKET, True), (amend, False), (Cancel(order_ref="NQH9-1"), False)):
        intent = Intent(
            order_ref="r", decision_id="d", order=order, state=state, ts_intended_ns=1, ts_changed_ns=1, why=None
        )
        kept = replace(empty(tmp_path), intents=(intent,), configuration=CONFIGURATION)
        is_protected = choose_start(kept, ConfigurationError("x")).kind is StartKind.PROTECT_ONLY
        assert is_protected == (counts and state in may_work)


def test_position_at_the_broker_keeps_a_start_from_being_refused(tmp_path: Path) -> None:
    """Though the book knows nothing of it."""
    position = Position(symbol="NQH9", con_id=3, position_qty=-1, entry_ticks=48_000, ts_ns=1)
    kept = replace(empty(tmp_path), position=position, configuration=CONFIGURATION)
    start = choose_start(kept, ConfigurationError("x"))
    assert (start.kind, start.open) == (StartKind.PROTECT_ONLY, ("the broker had -1 NQH9",))
