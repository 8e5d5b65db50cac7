"""What is kept over a crash: frozen records, whole and typed. May import the domain and the states of other modules.

A change to any record here, or to one inside it, needs a new `schema.VERSION` with its migration: a test says so.
Times are nanoseconds since 1970 UTC, prices ticks, money integer cents, `position_qty` signed.
"""

from enum import StrEnum

from msgspec import Struct

from trader.adapters.paper_broker import PaperState
from trader.advisor.cache import Entry, Scope
from trader.advisor.gate import GateMemory
from trader.domain.actions import Side
from trader.domain.orders import Order
from trader.learning import Learned, Unsettled
from trader.parts import Reached
from trader.risk.counters import CountersState
from trader.router import RouterState


class Mode(StrEnum):
    """Whether money is at stake."""

    PAPER = "paper"
    LIVE = "live"


class BrokerName(StrEnum):
    """Who fills the orders: the simulation inside the daemon, or Interactive Brokers."""

    PAPER = "paper"
    IB = "ib"


class Kept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every record here is: read strictly, or not at all."""


class AccountIdentity(Kept, frozen=True):
    """Whose state it is; a state of another identity is never opened. `instrument` is the root symbol, as NQ."""

    mode: Mode
    broker: BrokerName
    account: str
    instrument: str


class IntentState(StrEnum):
    """How far an order has come.

    INTENDED is written before the order leaves and may, after a crash, mean that it has left. DENIED never left.
    """

    INTENDED = "intended"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DENIED = "denied"
    UNRESOLVED = "unresolved"


class Intent(Kept, frozen=True):
    """One order that this program meant to send, under its own `order_ref`, never used twice; `why` it ended as it did.

    An intent to amend, flatten or cancel has an `order_ref` of its own; `order.order_ref` names the bracket.
    """

    order_ref: str
    decision_id: str
    order: Order
    state: IntentState
    ts_intended_ns: int
    ts_changed_ns: int
    why: str | None


class Leg(StrEnum):
    """Which of a bracket's orders, or the one that closes its position."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    CLOSE = "close"


class WorkingOrder(Kept, frozen=True):
    """One order that rests at the broker. Known by `order_ref` and `leg`; the broker's `order_id` may be used again.

    `price_ticks` is None at the market; `perm_id`, `order_id` are None until the broker has named them.
    """

    order_ref: str
    leg: Leg
    side: Side
    qty: int
    filled_qty: int
    price_ticks: int | None
    perm_id: int | None
    order_id: int | None


class Execution(Kept, frozen=True):
    """One execution by the broker's `exec_id` (paper: order_ref#nth). `order_ref`, `leg` are None where it is not ours.

    `commission_cents` is None until it has been reported.
    """

    exec_id: str
    order_ref: str | None
    leg: Leg | None
    perm_id: int | None
    side: Side
    qty: int
    price_ticks: int
    commission_cents: int | None
    ts_ns: int


class Position(Kept, frozen=True):
    """What the broker has of the instrument; `entry_ticks` is the rounded average, 0 when flat."""

    symbol: str
    con_id: int | None
    position_qty: int
    entry_ticks: int
    ts_ns: int


class Progress(Reached, Kept, frozen=True, forbid_unknown_fields=True):
    """How far the run has come."""


class BookRow(Kept, frozen=True):
    """Our own book: the row of `trader.kernels.book`, with trailing threshold, day's P&L and statistics in it."""

    row: tuple[int, ...]
    accounts_used: int


class PaperOrders(PaperState, Kept, frozen=True, forbid_unknown_fields=True):
    """All that the simulated broker holds."""


class LineMemory(Kept, frozen=True):
    """What router, position and order gate remember."""

    router: RouterState


class RuleCounters(Kept, frozen=True):
    """What the rules that remember need."""

    counters: CountersState


class Switches(Kept, frozen=True):
    """What the operator has switched, who and when; all of it stays over restarts.

    `flattening`: what is open was to be closed, and is not yet.
    """

    killed: bool
    paused: bool
    flattening: bool
    by: str
    ts_ns: int


class KeptAnswers(Kept, frozen=True):
    """The advisor's answers that may be given again, oldest first; `advisor` is the back end's identity.

    `gate` is what decides when it is asked next.
    """

    advisor: str
    scope: Scope | None
    entries: tuple[tuple[str, Entry], ...]
    gate: GateMemory | None = None


class KeptLearned(Kept, frozen=True):
    """What was learned of the advisor that `advisor` names, and the questions of which nothing was learned yet."""

    advisor: str
    learned: Learned
    unsettled: Unsettled | None = None


class LogHead(Kept, frozen=True):
    """The last line of the decision log that was handed to the disk: how many lines, and its hash."""

    run_id: str
    lines: int
    hash: str


class GoodConfiguration(Kept, frozen=True):
    """The last configuration under which trading was enabled, whole, as YAML."""

    sha256: str
    yaml: str
    ts_ns: int


Section = (
    Position
    | Progress
    | BookRow
    | PaperOrders
    | LineMemory
    | RuleCounters
    | Switches
    | KeptAnswers
    | KeptLearned
    | LogHead
    | GoodConfiguration
)
"""What there is one of; keeping another replaces it."""


class State(Struct, frozen=True, kw_only=True):
    """All that is kept, at one moment. `generation` counts commits; `remarks` say what was repaired or left out.

    Intents and executions are in the order in which they were written; None where nothing has been kept yet.
    """

    identity: AccountIdentity
    generation: int
    intents: tuple[Intent, ...]
    working: tuple[WorkingOrder, ...]
    executions: tuple[Execution, ...]
    position: Position | None
    progress: Progress | None
    book: BookRow | None
    paper: PaperOrders | None
    line: LineMemory | None
    rules: RuleCounters | None
    switches: Switches | None
    answers: KeptAnswers | None
    learned: KeptLearned | None
    log_head: LogHead | None
    configuration: GoodConfiguration | None
    remarks: tuple[str, ...]
