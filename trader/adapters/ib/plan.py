"""What is known before the broker is asked, and what is to be done once it has answered: the records of `reconcile`."""

from enum import StrEnum

from msgspec import Struct

from trader.adapters.ib.facts import BrokerOrder
from trader.adapters.state.records import Execution, Intent, IntentState
from trader.domain.orders import Bracket


class ForeignPolicy(StrEnum):
    """What is done about orders and positions that are not ours, on our account and contract.

    ADOPT and REFUSE take a foreign position into the book and lay a stop behind it; under REFUSE there is an alert and
    nothing may be entered while it, or a foreign order, is there. IGNORE leaves all of it alone: ours is what our own
    executions say. Foreign orders are never touched.
    """

    ADOPT = "adopt"
    IGNORE = "ignore"
    REFUSE = "refuse"


class Known(Struct, frozen=True, kw_only=True):
    """What state and book say. Prices are ticks, 0 where there is none; `position_qty` is signed.

    `symbol` is the month that the position is of (any when flat), `order_ref` what the line calls it ("" when flat or
    not known). `bracket` is the line's decision at work, also after
    its position has ended. `executions` are all that the state still has (also those of others): it keeps them longer
    than the broker tells of them, which are new otherwise. `intents` are those that have not ended, oldest first.
    `decisions` are all of ours that the line knows: an order of one that has ended may still fill.
    """

    symbol: str
    order_ref: str = ""
    bracket: Bracket | None
    position_qty: int
    entry_ticks: int
    entry_working: bool
    closing: bool
    stop_ticks: int
    target_ticks: int
    executions: tuple[Execution, ...]
    intents: tuple[Intent, ...]
    decisions: frozenset[str] = frozenset()


class Moment(Struct, frozen=True, kw_only=True):
    """When and where. `symbol` is the month that is traded, `last_ticks` the last price, None before there is one.

    `default_stop_ticks` is how far a stop lies from the last price behind a position for which we know no level.
    `entry_may_rest`: this is no start but a look in between, and the entry at work is not stale.
    """

    ts_ns: int
    symbol: str
    last_ticks: int | None
    default_stop_ticks: int
    entry_may_rest: bool


class Resolution(Struct, frozen=True):
    """What became of an intent that had not ended.

    DENIED: it never left. ACKNOWLEDGED: it works. FILLED: it was filled, or (an amend, a cancel) has its effect.
    CANCELLED: it works no more, or (an amend, a cancel) is without effect and is not needed or is in this plan again.
    """

    order_ref: str
    state: IntentState
    why: str


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done, in this order; afterwards the broker is asked again, and then there is nothing more to do.

    1. `refusal` is not None: at a start say it and end, and nothing else of the plan is filled in; later nothing is
       entered any more, and all that follows is done.
    2. `bracket` is not None: the line does not know this decision, whose intent was written before a crash; tell it
       (its entry works) before its executions.
    3. Book `executions` (ours, new, oldest first; with its leg where it is of the decision at work), then
       `foreign_qty` at `foreign_ticks`, then `unexplained_qty` at `unexplained_ticks` (both signed, by `on_foreign`):
       the book then has `position_qty`. Keep `executions` and `foreign` by their ids: that makes them known.
       `unexplained_qty` is what no execution explains: the broker tells of no earlier day's. A position may lag its
       execution by a moment: at the first sight of one during a run ask again before you book it.
    4. `protect_qty` at `protect_ticks`: lay a stop, before anything is cancelled (one OCA group keeps two stops from
       both filling). Or `close_qty`: close at the market, because of `close_why`. Never both.
    5. `cancel`, entries first. An order of another client id cannot be cancelled by us: 10147.
    6. `amend_stop_ticks`, `amend_target_ticks`: modify `stop` and `target`, which else stay as they are.
    7. Move the intents by `resolutions`. `entry_is_over`: tell the line `on_unfilled`, what it waits for will not come.
       A close that is over is no case of its own: its position is closed again, by `close_qty`.
    8. Say `remarks` to the log, `alerts` to a person; `may_enter` is whether anything here stands against entries.

    `decision` names what is laid behind the position (`protect_ref`, `close_ref`); "" where nothing is. `stop`,
    `target`, `close` are what rests there and stays. `ignored_qty` is the part of the broker's position that is left to
    others.
    """

    refusal: str | None = None
    bracket: Bracket | None = None
    executions: tuple[Execution, ...] = ()
    foreign: tuple[Execution, ...] = ()
    foreign_qty: int = 0
    foreign_ticks: int = 0
    unexplained_qty: int = 0
    unexplained_ticks: int = 0
    position_qty: int = 0
    ignored_qty: int = 0
    decision: str = ""
    stop: BrokerOrder | None = None
    target: BrokerOrder | None = None
    close: BrokerOrder | None = None
    protect_qty: int = 0
    protect_ticks: int = 0
    close_qty: int = 0
    close_why: str = ""
    cancel: tuple[BrokerOrder, ...] = ()
    amend_stop_ticks: int | None = None
    amend_target_ticks: int | None = None
    resolutions: tuple[Resolution, ...] = ()
    entry_is_over: bool = False
    may_enter: bool = False
    remarks: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
