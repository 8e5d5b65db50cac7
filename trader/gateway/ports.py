"""What the exchange tells, and whom."""

from typing import Protocol

from trader.gateway.contracts import Contract
from trader.gateway.intake import Refusal
from trader.gateway.layouts import Execution
from trader.gateway.orders import Resting


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
    """What goes wrong with orders on purpose; each call is the next order, or the next cancel."""

    def refusal(self) -> Refusal | None:
        """Why the order that has just come is refused; None: as it deserves."""
        ...

    def portions(self, qty: int) -> list[int]:
        """The quantities in which the order fills, one a chance; empty: all at once."""
        ...

    def fills_before_cancel(self) -> bool:
        """Whether the order of this cancel fills first."""
        ...


class NoQuirks:
    """Everything as it should be."""

    def refusal(self) -> Refusal | None:
        """None."""
        return None

    def portions(self, qty: int) -> list[int]:
        """All at once."""
        del qty
        return []

    def fills_before_cancel(self) -> bool:
        """No."""
        return False
