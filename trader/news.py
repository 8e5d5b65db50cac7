"""What became of orders since somebody asked: kept by the line, drained by whoever records and counts it."""

from collections.abc import Callable

from msgspec import Struct

from trader.domain.orders import ClosedTrade, Fill, Order, Unfilled
from trader.risk.gate import Refusal


class BookedFill(Struct, frozen=True):
    """An execution as the book took it; `pnl_cents` is the trade's net result where this fill ended the position."""

    fill: Fill
    pnl_cents: int | None
    risk_cents: int


class RefusedOrder(Struct, frozen=True):
    """An order that the last gate did not let through."""

    order: Order
    why: Refusal


class Adjustment(Struct, frozen=True):
    """What a bracket's execution has cost more (less: negative) than its fill had said; booked already."""

    order_ref: str
    cents: int


class ForeignTrade(Struct, frozen=True):
    """What somebody else has traded on the account; booked already."""

    signed_qty: int
    price_ticks: int
    ts_ns: int


class News:
    """Lists that only grow until they are drained."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.fills: list[BookedFill] = []
        self.trades: list[ClosedTrade] = []
        self.executions: list[Fill] = []
        self.refused: list[RefusedOrder] = []
        self.on_refused: Callable[[RefusedOrder], None] = _nobody
        """Told of each order that the gate refuses, at once."""
        self.unfilled: list[tuple[str, Unfilled]] = []
        self.adjustments: list[Adjustment] = []
        self.foreign: list[ForeignTrade] = []

    @property
    def has_news(self) -> bool:
        """Whether `drain`, `drain_unfilled` or `drain_outside` has anything to give."""
        return bool(self.orders or self.fills or self.refused or self.unfilled or self.adjustments or self.foreign)

    def refuse(self, order: Order, why: Refusal) -> None:
        """An order that does not leave."""
        refused = RefusedOrder(order, why)
        self.refused.append(refused)
        self.on_refused(refused)

    def drain(self) -> tuple[list[Order], list[BookedFill], list[RefusedOrder]]:
        """What has happened since the last call: orders that leave, fills booked, orders refused."""
        drained = (self.orders, self.fills, self.refused)
        self.orders, self.fills, self.refused = [], [], []
        return drained

    def drain_unfilled(self) -> list[tuple[str, Unfilled]]:
        """The orders that have ended without a fill, or without the rest of one, since the last call."""
        unfilled, self.unfilled = self.unfilled, []
        return unfilled

    def drain_results(self) -> tuple[list[Fill], list[ClosedTrade]]:
        """The executions and the round trips that have ended since the last call."""
        results = (self.executions, self.trades)
        self.executions, self.trades = [], []
        return results

    def drain_outside(self) -> tuple[list[Adjustment], list[ForeignTrade]]:
        """What no order of ours explains, since the last call: fees that were others, and trades of somebody else."""
        outside = (self.adjustments, self.foreign)
        self.adjustments, self.foreign = [], []
        return outside


def _nobody(refused: RefusedOrder) -> None:
    """Is told of nothing."""
    del refused
