"""How a run begins that finds a position: it is protected, whatever has become of configuration and model."""

from enum import StrEnum

from msgspec import Struct

from trader.adapters.state.intents import ENDED
from trader.adapters.state.records import GoodConfiguration, State
from trader.domain.orders import Bracket, Flatten, Protect
from trader.errors import AccessError, BundleError, ConfigurationError, TraderError
from trader.kernels import book as k


class StartKind(StrEnum):
    """Trade as configured; only protect what is open; or do not start, and say why."""

    TRADE = "trade"
    PROTECT_ONLY = "protect_only"
    REFUSE = "refuse"


class Start(Struct, frozen=True, kw_only=True):
    """How to begin, and why not otherwise ("" where it is TRADE). `open` says what is open, a line each.

    PROTECT_ONLY comes with the last good configuration, whole, where the present one is of no use; its strategy and its
    model are not needed, nothing is entered. None where the present one can be read.
    """

    kind: StartKind
    why: str
    open: tuple[str, ...]
    configuration: GoodConfiguration | None


def choose_start(state: State, error: TraderError | None, *, is_readable: bool = False) -> Start:
    """How a run begins on this state when putting it together has raised `error`; None: it has not.

    `is_readable`: the configuration itself could be read, and what failed came after it (a model, a strategy). An error
    that says whose account this is, or that another process has it, is never overruled; nor is one that is none of
    configuration and model.
    """
    open_ = what_is_open(state)
    if error is None:
        return Start(kind=StartKind.TRADE, why="", open=open_, configuration=None)
    is_broken = isinstance(error, (ConfigurationError, BundleError)) and not isinstance(error, AccessError)
    if not is_broken or not open_:
        return Start(kind=StartKind.REFUSE, why=str(error), open=open_, configuration=None)
    if is_readable:
        return Start(kind=StartKind.PROTECT_ONLY, why=str(error), open=open_, configuration=None)
    if state.configuration is None:
        why = f"{error}; and there is no earlier configuration to protect by: {'; '.join(open_)}"
        return Start(kind=StartKind.REFUSE, why=why, open=open_, configuration=None)
    return Start(kind=StartKind.PROTECT_ONLY, why=str(error), open=open_, configuration=state.configuration)


def what_is_open(state: State) -> tuple[str, ...]:
    """A position, or an order that may be at work, as far as the state knows: a line each, for a person."""
    lines = []
    if state.book is not None and len(state.book.row) == k.SIZE and state.book.row[k.QTY]:
        lines.append(f"the book holds {state.book.row[k.QTY]:+d}")
    if state.position is not None and state.position.position_qty:
        lines.append(f"the broker had {state.position.position_qty:+d} {state.position.symbol}")
    if state.paper is not None and state.paper.position_qty:
        lines.append(f"the simulated broker holds {state.paper.position_qty:+d}")
    lines += [f"the {order.leg.value} of {order.order_ref} rests" for order in state.working]
    lines += [
        f"order {intent.order_ref} is {intent.state.value}"
        for intent in state.intents
        if intent.state not in ENDED and isinstance(intent.order, (Bracket, Flatten, Protect))
    ]
    return tuple(lines)
