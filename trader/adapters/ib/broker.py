"""The broker at Interactive Brokers: the port `Broker`, whose every answer is the wire's.

Orders leave through two lanes, each after its intent is on the disk; after every connection, outage or pause of the
loop the broker is asked for everything first. Not thread-safe: one event loop.
"""

import asyncio
import time
from collections.abc import Callable

from trader.adapters.ib.acting import Actor
from trader.adapters.ib.applying import Applier
from trader.adapters.ib.asking import Asker
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.facts import Truth
from trader.adapters.ib.hearing import Hearing
from trader.adapters.ib.library import Library
from trader.adapters.ib.order_records import LineKept, OrderRecords
from trader.adapters.ib.order_wire import OrderLink, OrderWire
from trader.adapters.ib.plan import Known
from trader.adapters.ib.restoring import restore
from trader.adapters.ib.room import BrokerTerms, Room
from trader.adapters.ib.sender import Sender
from trader.adapters.state.records import State
from trader.adapters.state.writer import StateWriter
from trader.domain.bars import Bar
from trader.domain.orders import Amend, Bracket, Cancel, Flatten, Order, Protect
from trader.kernels import matching
from trader.ports import BrokerWatcher


class IbBroker:
    """One account, one contract, one decision at a time. `pin` names the contract before the first order."""

    def __init__(
        self,
        link: OrderLink,
        library: Library,
        terms: BrokerTerms,
        writer: StateWriter,
        watcher: BrokerWatcher,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._room = Room(link, terms, OrderRecords(writer, wall_ns), watcher)
        self._actor = Actor(self._room)
        self._hearing = Hearing(self._room, self._actor)
        self._applier = Applier(self._room, self._actor, self._hearing, wall_ns)
        self._asker = Asker(self._room, self._actor, self._applier)
        self._room.wire = OrderWire(library, terms.account, terms.market, self._hearing, self._guarded)
        self._room.sender = Sender(terms.sender, writer, lambda: self.taken)
        matching.is_beyond(1, 0, -1, 1)  # loaded now, and not while a fill waits
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        link.on_lost(self._lost)
        link.on_error(lambda order_id, code, text: self._guarded(lambda: self._hearing.on_error(order_id, code, text)))

    def pin(self, contract: Pinned) -> None:
        """Trade this month from now on; to be called when flat."""
        if not self._room.held.qty:
            self._room.symbol = contract.symbol
        self._asker.contract = contract
        self._room.wire.pin(contract)

    def restore(self, known: Known, kept: State) -> None:
        """Go on where an earlier life ended, before the first synchronisation; `known` is the line's side of it."""
        restore(self._room, known, kept)

    def log_first(self, newest_line: Callable[[], LineKept]) -> None:
        """Have the log's newest line, as it is when an order is taken, on the disk before that leaves."""
        self._room.records.newest_line = newest_line

    def on_untold(self, tell: Callable[[Bracket], None]) -> None:
        """Whom to tell of a decision that left before a crash and that the line does not know."""
        self._applier.on_untold = tell

    def heed(self, taken: Callable[[], str | None]) -> None:
        """Ask this before anything is sent, protective orders included: why the account is another process's."""
        self._room.taken = taken

    @property
    def held_qty(self) -> int:
        """The signed position, as far as the wire has told it."""
        return self._room.held.qty

    @property
    def taken(self) -> str | None:
        """Why the account is another process's, and nothing may be sent; None where it is ours."""
        return self._room.taken()

    def reserve(self) -> None:
        """Before a question that travels as an order: its number is none that an order has had."""
        self._room.wire.reserve()

    @property
    def truth(self) -> Truth | None:
        """The broker's last complete answer."""
        return self._asker.truth

    def submit(self, order: Order) -> None:
        """Take an order; it leaves as soon as it may."""
        if isinstance(order, Bracket):
            self._actor.enter(order)
            return
        desk = self._room.desk_for(order.order_ref)
        match order:
            case Amend():
                self._actor.amend(desk, order.stop_ticks, order.target_ticks, order.cause)
            case Flatten():
                self._actor.close(desk, order.reason, max(abs(self._room.held.qty) - order.qty, 0))
            case Cancel():
                self._actor.cancel(desk)
            case Protect():
                self._actor.protect(desk, order.qty, order.stop_ticks)

    def on_bar(self, bar: Bar) -> None:
        """The broker has its own market; the close is the last price that levels are judged by."""
        self._room.last_ticks = round(bar.close * self._room.terms.market.ticks_per_point)

    def on_session_end(self) -> None:
        """Nothing: stops rest at the broker."""

    def on_roll(self) -> None:
        """Nothing: a contract is rolled when flat."""

    async def run(self) -> None:
        """Send and watch, until cancelled; raises what the line made of something heard."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._room.sender.run(), name="sender")
            tasks.create_task(self._asker.run(), name="asker")
            tasks.create_task(self._fail(), name="heard")

    async def sync(self) -> None:
        """Be in step with the broker: the link's hook, whether `run` has begun or not. LinkError: not yet.

        ConfigurationError, at the first time only, where the account holds another month.
        """
        self._room.wire.attach(self._room.link.ib)
        async with self._room.sender.served():
            await self._asker.sync()

    async def idle(self) -> None:
        """Until everything that was taken has left, or has been denied."""
        await self._room.sender.idle()

    async def rest(self) -> None:
        """Outside of lockstep: until a probe has found nothing new on this side."""
        room = self._room
        while True:
            await room.sender.idle()
            before = room.wire.activity
            await room.link.probe()
            if before == room.wire.activity and room.sender.is_idle:
                return

    @property
    def doubt(self) -> str | None:
        """Why what the broker has is not certain; None where it is, and before anybody asked."""
        return self._asker.doubt

    def _lost(self, why: str) -> None:
        self._asker.lost(why)

    def _guarded(self, act: Callable[[], None]) -> None:
        """Keep what the line raises for `run`: the library would only log it."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - raised again where the broker runs
            if not self._failure.done():
                self._failure.set_exception(error)

    async def _fail(self) -> None:
        await self._failure
