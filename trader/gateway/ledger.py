"""What really happened at the exchange, in its order: the oracle that a client's view is held against."""

from collections.abc import Callable
from enum import StrEnum

import msgspec
from msgspec import Struct

from trader.gateway.orders import Resting


class Event(StrEnum):
    """What an entry tells."""

    PLACED = "placed"
    MODIFIED = "modified"
    REJECTED = "rejected"
    ENDED = "ended"
    EXECUTED = "executed"
    MANUAL = "manual"
    SETTLED = "settled"
    LINK = "link"


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. `at_s` is the ledger's clock, `market_ns` the market's; prices are ticks.

    Of an order: whose it is, its role (`kind`, `side`, `parent_id`), what it still works (`remaining`) and where it
    stops. Of an execution: `qty` and `price_ticks`, signed by `side`, and the `position` of the contract after it.
    LINK: `is_up` says whether a client is connected and hears the broker.
    """

    event: Event
    at_s: float
    market_ns: int
    client_id: int = -1
    order_id: int = 0
    perm_id: int = 0
    order_ref: str = ""
    kind: str = ""
    side: int = 0
    parent_id: int = 0
    oca_group: str = ""
    con_id: int = 0
    remaining: int = 0
    stop_ticks: int | None = None
    qty: int = 0
    price_ticks: int = 0
    position: int = 0
    status: str = ""
    is_up: bool = True


class Ledger:
    """Entries in their order. `clock` gives seconds, `market_clock` nanoseconds."""

    def __init__(self, clock: Callable[[], float], market_clock: Callable[[], int]) -> None:
        self.entries: list[Entry] = []
        self._clock = clock
        self._market_clock = market_clock

    @property
    def now_s(self) -> float:
        """The ledger's clock."""
        return self._clock()

    def order(self, event: Event, order: Resting) -> None:
        """Something became of an order."""
        self.entries.append(self._of(event, order, 0, 0, 0))

    def executed(self, order: Resting, qty: int, price_ticks: int, position: int) -> None:
        """A fill of `qty`; `position` of the contract after it, signed."""
        self.entries.append(self._of(Event.EXECUTED, order, qty, price_ticks, position))

    def manual(self, con_id: int, signed_qty: int, price_ticks: int, position: int) -> None:
        """Somebody traded by hand on the same account."""
        self.entries.append(self._by_nobody(Event.MANUAL, con_id, signed_qty, price_ticks, position))

    def settled(self, con_id: int, signed_qty: int, price_ticks: int) -> None:
        """A contract has ended, and with it its position."""
        self.entries.append(self._by_nobody(Event.SETTLED, con_id, signed_qty, price_ticks, 0))

    def link(self, *, is_up: bool) -> None:
        """Whether any client hears the broker, when that changes."""
        now = Entry(event=Event.LINK, at_s=self._clock(), market_ns=self._market_clock(), is_up=is_up)
        self.entries.append(now)

    def lines(self) -> bytes:
        """All entries as JSON lines."""
        return msgspec.json.Encoder().encode_lines(self.entries)

    def _by_nobody(self, event: Event, con_id: int, signed_qty: int, price_ticks: int, position: int) -> Entry:
        return Entry(
            event=event,
            at_s=self._clock(),
            market_ns=self._market_clock(),
            con_id=con_id,
            side=1 if signed_qty > 0 else -1,
            qty=abs(signed_qty),
            price_ticks=price_ticks,
            position=position,
        )

    def _of(self, event: Event, order: Resting, qty: int, price_ticks: int, position: int) -> Entry:
        return Entry(
            event=event,
            at_s=self._clock(),
            market_ns=self._market_clock(),
            client_id=order.client_id,
            order_id=order.spec.order_id,
            perm_id=order.perm_id,
            order_ref=order.spec.order_ref,
            kind=order.kind,
            side=int(order.side),
            parent_id=order.spec.parent_id,
            oca_group=order.spec.oca_group,
            con_id=order.contract.con_id,
            remaining=order.remaining,
            stop_ticks=order.level_ticks,
            qty=qty,
            price_ticks=price_ticks,
            position=position,
            status=order.status,
        )
