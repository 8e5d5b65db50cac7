"""What executions cost beyond what the line has booked with their fills: told once each, whenever it is heard."""

from msgspec.structs import replace

from trader.adapters.ib.ours import decision_of, is_operators
from trader.adapters.ib.room import Room
from trader.adapters.state.records import Execution


class Costs:
    """The commissions of one broker's executions."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def heard(self, exec_id: str, cents: int) -> None:
        """A report, or an answer, names the cost of an execution; the same one again changes nothing."""
        execution = self._room.records.find(exec_id)
        if execution is None or execution.commission_cents is not None:
            return
        told = replace(execution, commission_cents=cents)
        self._room.records.executed(told)
        self.tell(told)

    def tell(self, execution: Execution) -> None:
        """The line has booked the fill at the configured cost: what it cost beyond that, where that is known."""
        if execution.commission_cents is None:
            return
        own, decision = self._room.desk, decision_of(execution.order_ref)
        if own is not None and is_operators(execution.order_ref):
            decision = own.decision
        more = execution.commission_cents - self._room.terms.commission_cents * execution.qty
        if decision is not None and more:
            self._room.watcher.on_fee(decision, more)
