"""What `state.db` is told of orders: intents and how far they came, what rests at the broker, executions.

Nothing here waits, and nothing is written that contradicts what is there: a change that does ends the writer for good.
"""

import time
from collections.abc import Callable

from msgspec.structs import replace

from trader.adapters.ib.desk import Track
from trader.adapters.ib.ours import execution_key
from trader.adapters.state.database import StateDb
from trader.adapters.state.intents import ENDED, NEXT
from trader.adapters.state.records import Execution, Intent, IntentState, WorkingOrder
from trader.adapters.state.writer import StateWriter
from trader.domain.orders import Bracket, Order

LineKept = Callable[[float], bool]
"""Whether the log's newest line, as it was when this was made, is on the disk; waits so many seconds. Any thread."""
ENTRY_PATIENCE_S, PROTECTION_PATIENCE_S = 1.0, 0.25
NO_LINE = "its line of the decision log is not on the disk"


def _no_log() -> LineKept:
    return lambda _: True


class OrderRecords:
    """Keeps the intents that have not ended, and the executions, in memory too: what a reconciliation starts from."""

    def __init__(self, writer: StateWriter, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._writer = writer
        self._wall_ns = wall_ns
        self._states: dict[str, IntentState] = {}
        self._written: set[str] = set()  # what the writer's thread has of them: nobody else looks at it
        self._is_log_prompt = True
        self.newest_line: Callable[[], LineKept] = _no_log
        self.intents: dict[str, Intent] = {}
        self.executions: dict[str, Execution] = {}

    def find(self, exec_id: str) -> Execution | None:
        """The execution of this id, or another revision of it."""
        return self.executions.get(execution_key(exec_id))

    @property
    def open_intents(self) -> tuple[Intent, ...]:
        """Those that have not ended, oldest first, as far as they have come."""
        return tuple(
            replace(each, state=self._states[ref])
            for ref, each in self.intents.items()
            if self._states[ref] not in ENDED
        )

    def restore(self, intents: tuple[Intent, ...], executions: tuple[Execution, ...]) -> None:
        """Begin with what was kept."""
        self.intents = {each.order_ref: each for each in intents}
        self._states = {each.order_ref: each.state for each in intents}
        self._written = {each.order_ref for each in intents}
        self.executions = {execution_key(each.exec_id): each for each in executions}

    @property
    def is_healthy(self) -> bool:
        """False once the state cannot be kept."""
        return self._writer.is_healthy

    def intend(self, ref: str, decision: str, order: Order) -> Callable[[StateDb], str | None]:
        """The change that writes an intent, to be made durable; known here from now on.

        It comes after the log's line of the same order, and returns why that must not leave: an entry without its line.
        """
        is_kept = self.newest_line()
        now_ns = self._wall_ns()
        self._states[ref] = IntentState.INTENDED
        self.intents[ref] = Intent(
            order_ref=ref,
            decision_id=decision,
            order=order,
            state=IntentState.INTENDED,
            ts_intended_ns=now_ns,
            ts_changed_ns=now_ns,
            why=None,
        )

        def write(state: StateDb) -> str | None:
            if isinstance(order, Bracket):
                if not is_kept(ENTRY_PATIENCE_S):
                    return NO_LINE
            else:  # protection waits for no log that was waited for in vain
                self._is_log_prompt = is_kept(PROTECTION_PATIENCE_S if self._is_log_prompt else 0.0)
            state.intend(ref, decision, order, now_ns)
            self._written.add(ref)
            return None

        return write

    def moved(self, ref: str, state: IntentState, why: str | None = None) -> None:
        """An intent has come this far; a way that there is not is left out, and so is one that was never written."""
        before = self._states.get(ref)
        if before is None or before is state or state not in NEXT[before]:
            return
        self._states[ref] = state
        now_ns = self._wall_ns()

        def write(db: StateDb) -> None:
            if ref in self._written:
                db.moved(ref, state, now_ns, why)

        self._soon(write)

    def rests(self, track: Track) -> None:
        """What the broker has of an order that works."""
        draft = track.draft if track.rests is None else track.rests
        order = WorkingOrder(
            order_ref=draft.order_ref,
            leg=draft.leg,
            side=draft.side,
            qty=draft.qty,
            filled_qty=track.filled_qty,
            price_ticks=draft.price_ticks,
            perm_id=track.perm_id or None,
            order_id=track.order_id,
        )
        self._soon(lambda db: db.rests(order))

    def gone(self, track: Track) -> None:
        """An order works no more."""
        ref, leg = track.draft.order_ref, track.draft.leg
        self._soon(lambda db: db.gone(ref, leg))

    def executed(self, execution: Execution) -> None:
        """An execution, or what it cost."""
        self.executions[execution_key(execution.exec_id)] = execution
        self._soon(lambda db: db.executed(execution))

    def _soon(self, change: Callable[[StateDb], object]) -> None:
        if self._writer.is_healthy:
            self._writer.soon(change)
