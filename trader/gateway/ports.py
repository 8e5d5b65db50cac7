"""What the exchange tells, and whom."""

from typing import Protocol

from trader.gateway.contracts import Contract
from trader.gateway.intake import Refusal
from trader.gateway.layouts import Execution
from trader.gateway.orders import Act, Resting


class Notices(Protocol):
    """Is told of everything that becomes of orders; the server tells the clients."""

    def on_order(self, order: Resting) -> None:
        """The order stands like this now: openOrder and orderStatus."""
        ...

    def on_error(self, client_id: int, order_id: int, code: int, text: str) -> None:
        """An error or warning about an order of a client."""
        ...

    def on_execution(self, fill: Execution) -> None:
        """A fill, before the order's status changes."""
        ...

    def on_what_if(self, order: Resting, margin: tuple[str, ...]) -> None:
        """The answer to an order that was only asked about; nine figures."""
        ...

    def on_account(self, contract: Contract) -> None:
        """A position in `contract` has changed, and with it the account."""
        ...


class Quirks(Protocol):
    """What goes wrong with orders on purpose. Each call is the next order, cancel or execution."""

    def consider(self, act: Act) -> None:
        """What the calls after this one are about."""
        ...

    def refusal(self) -> Refusal | None:
        """Why the order that has just come, new or modified, is refused; None: as it deserves."""
        ...

    def lie(self) -> Refusal | None:
        """An error that the client is told though its order works on; a cancel that is answered so has no effect."""
        ...

    def is_lost(self) -> bool:
        """Whether the new order never arrives."""
        ...

    def is_untold(self) -> bool:
        """Whether the new order is never acknowledged."""
        ...

    def portions(self, qty: int) -> list[int]:
        """The quantities in which the order fills, one a chance; empty: all at once."""
        ...

    def fills_before_cancel(self) -> bool:
        """Whether the order of this cancel fills first."""
        ...

    def fills_after_cancel(self) -> bool:
        """Whether the order of this cancel fills when the cancel has been confirmed."""
        ...

    def correction_ticks(self) -> int | None:
        """By how much the price of this execution is corrected."""
        ...


class NoQuirks:
    """Everything as it should be."""

    def consider(self, act: Act) -> None:
        """Nothing."""

    def refusal(self) -> Refusal | None:
        """None."""
        return None

    def lie(self) -> Refusal | None:
        """None."""
        return None

    def is_lost(self) -> bool:
        """No."""
        return False

    def is_untold(self) -> bool:
        """No."""
        return False

    def portions(self, qty: int) -> list[int]:
        """All at once."""
        del qty
        return []

    def fills_before_cancel(self) -> bool:
        """No."""
        return False

    def fills_after_cancel(self) -> bool:
        """No."""
        return False

    def correction_ticks(self) -> int | None:
        """None."""
