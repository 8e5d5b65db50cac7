"""The IB broker over a real link to a gateway, a state on the disk, and a watcher that keeps what it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway_builders import running
from ib_builders import ACCOUNT, LIBRARY, linked, until
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.adapters.ib.broker import IbBroker
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.link import Link
from trader.adapters.ib.plan import ForeignPolicy, Known
from trader.adapters.ib.room import BrokerTerms
from trader.adapters.ib.sender import SenderTerms
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import AccountIdentity, BrokerName, Intent, Mode, State
from trader.adapters.state.writer import StateWriter, WriterLimits
from trader.domain.actions import Side
from trader.domain.instruments import instrument
from trader.domain.orders import Amend, AmendCause, Bracket, ExitReason, Fill, Flatten, Unfilled
from trader.gateway.faults import Fault
from trader.gateway.gateway import Gateway
from trader.gateway.mischief import OrderMischief, play_faults
from trader.gateway.orders import Resting

NQ = instrument("NQ")
ME = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account=ACCOUNT, instrument="NQ")
LAST = 8_000 * NQ.ticks_per_point
REF = "NQH20-1"

TERMS = BrokerTerms(
    account=ACCOUNT,
    market=NQ,
    sender=SenderTerms(messages_a_window=40, window_s=1.0, disk_patience_s=1.0),
    ack_timeout_s=0.25,
    ask_every_s=0.05,
    unresolved_s=1.0,
    naked_grace_s=0.1,
    position_poll_s=0.0,
    order_poll_s=0.0,
    change_tries=2,
    close_tries=5,
    exit_pause_s=2.0,
    commission_cents=225,
    default_stop_ticks=80,
    policy=ForeignPolicy.REFUSE,
)


def a_bracket(ref: str = REF, qty: int = 1, side: Side = Side.BUY, stop: int = 40, target: int = 120) -> Bracket:
    """A bracket around the last price, `stop` and `target` ticks away from it."""
    return Bracket(
        order_ref=ref,
        side=side,
        qty=qty,
        stop_distance_ticks=stop,
        target_distance_ticks=target,
        stop_ticks=LAST - side * stop,
        target_ticks=LAST + side * target,
    )


def an_amend(stop_ticks: int, target_ticks: int, cause: AmendCause = AmendCause.TRAIL) -> Amend:
    """New levels for the bracket's exits."""
    return Amend(order_ref=REF, cause=cause, stop_ticks=stop_ticks, target_ticks=target_ticks)


def a_flatten(
    qty: int = 1, side: Side = Side.SELL, reason: ExitReason = ExitReason.OPERATOR, ref: str = REF
) -> Flatten:
    """A close of a long position."""
    return Flatten(order_ref=ref, side=side, qty=qty, reason=reason)


def known(qty: int, stop: int = LAST - 40, **changes: Any) -> Known:
    """What the line of an earlier life has kept."""
    line = Known(
        symbol="NQH20",
        bracket=a_bracket(),
        position_qty=qty,
        entry_ticks=LAST + 1 if qty else 0,
        entry_working=False,
        closing=False,
        stop_ticks=stop if qty else 0,
        target_ticks=LAST + 120 if qty else 0,
        executions=(),
        intents=(),
    )
    return replace(line, **changes)


class Watcher:
    """Keeps what the broker tells. With `flattens` it closes what it hears to be naked, as the line does."""

    def __init__(self) -> None:
        self.broker: IbBroker | None = None
        self.flattens = True
        self.position_qty = 0
        self.fills: list[Fill] = []
        self.unfilled: list[tuple[str, Unfilled]] = []
        self.fees: list[tuple[str, int]] = []
        self.foreign: list[tuple[int, int]] = []
        self.foreign_ns = 0
        self.naked: list[str] = []
        self.doubts: list[str | None] = []
        self.out_of_step = 0
        self.broken: list[str] = []

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        self.position_qty += fill.side * fill.qty

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        self.unfilled.append((order_ref, outcome))

    def on_fee(self, order_ref: str, cents: int) -> None:
        self.fees.append((order_ref, cents))

    def on_foreign(self, signed_qty: int, price_ticks: int, ts_ns: int) -> None:
        self.foreign.append((signed_qty, price_ticks))
        self.foreign_ns = ts_ns
        self.position_qty += signed_qty

    def on_naked(self, why: str) -> None:
        self.naked.append(why)
        if self.flattens and self.broker is not None and self.position_qty:
            side = Side.SELL if self.position_qty > 0 else Side.BUY
            self.broker.submit(a_flatten(abs(self.position_qty), side, ExitReason.UNPROTECTED))

    def on_doubt(self, why: str | None) -> None:
        self.doubts.append(why)

    def on_out_of_step(self) -> None:
        self.out_of_step += 1

    def on_broken(self, why: str) -> None:
        self.broken.append(why)

    @property
    def exits(self) -> list[tuple[int, int, ExitReason | None]]:
        """Quantity, price and reason of the fills that closed something."""
        return [(fill.qty, fill.price_ticks, fill.reason) for fill in self.fills if fill.reason is not None]


class Bench:
    """A broker at work in front of a gateway."""

    def __init__(self, gateway: Gateway, link: Link, broker: IbBroker, watcher: Watcher, writer: StateWriter) -> None:
        self.gateway = gateway
        self.link = link
        self.broker = broker
        self.watcher = watcher
        self.writer = writer

    async def kept(self) -> State:
        """What is on the disk."""
        return await self.writer.durable(StateDb.snapshot)

    async def intents(self) -> dict[str, str]:
        """State of each intent."""
        return {each.order_ref: each.state.value for each in (await self.kept()).intents}

    async def intent(self, ref: str) -> Intent:
        """One intent."""
        return next(each for each in (await self.kept()).intents if each.order_ref == ref)

    @property
    def working(self) -> list[Resting]:
        """What works at the exchange."""
        return self.gateway.exchange.book.working()

    def resting(self) -> list[tuple[str, str, int | None]]:
        """Reference, type and level of what works at the exchange."""
        return [
            (each.spec.order_ref, each.kind.value, each.limit_ticks if each.stop_ticks is None else each.stop_ticks)
            for each in self.working
        ]

    @property
    def position_qty(self) -> int:
        """What the account has."""
        return self.gateway.account.qty(self.gateway.market.front)

    async def until(self, is_true: Callable[[], Any]) -> None:
        """Until something is the case."""
        await until(is_true)

    async def calm(self) -> None:
        """Until nothing that was sent is without an answer, and nothing is being asked."""
        room = self.broker._room
        await until(lambda: not room.ask_wanted.is_set() and all(track.due_s is None for track in room.live()))
        await self.broker.rest()

    async def enter(self, qty: int = 1, **changes: Any) -> None:
        """Send a bracket, and wait until it is filled and its exits are known to work."""
        beside_qty = self.position_qty
        self.broker.submit(a_bracket(qty=qty, **changes))
        await until(lambda: self.watcher.position_qty == self.position_qty - beside_qty == qty)
        await self.broker.rest()


def pinned(gateway: Gateway) -> Pinned:
    """The month of the gateway's bars."""
    front = gateway.market.front
    return Pinned(
        con_id=front.con_id,
        market="NQ",
        symbol=front.code,
        local_symbol=front.local_symbol,
        trading_class="NQ",
        exchange="CME",
        expiry=f"{front.expiry[:4]}-{front.expiry[4:6]}-{front.expiry[6:]}",
        multiplier=20,
    )


@asynccontextmanager
async def trading(
    folder: Path,
    *faults: Fault,
    columns: BarColumns | None = None,
    link: dict[str, Any] | None = None,
    gateway: dict[str, Any] | None = None,
    **terms: Any,
) -> AsyncIterator[Bench]:
    """A broker that is in step, before a gateway that plays `faults`; `terms` replace the broker's."""
    mischief = OrderMischief(faults, 1)
    async with running(columns, mischief, **(gateway or {})) as server:
        play_faults(server, mischief)
        async with life(folder, server, link=link, **terms) as bench:
            yield bench


@asynccontextmanager
async def life(
    folder: Path,
    server: Gateway,
    known: Known | None = None,
    link: dict[str, Any] | None = None,
    *,
    runs_late: bool = False,
    **terms: Any,
) -> AsyncIterator[Bench]:
    """One life of a broker at a gateway; `known` is what the line of an earlier one has kept. `runs_late`: its task
    begins only when the link is up."""
    state = StateDb(folder, ME)
    kept = state.snapshot()
    writer = StateWriter(state, WriterLimits(queue_changes=1_000, patience_s=5.0), lambda why: None)
    watcher = Watcher()
    brokers: list[IbBroker] = []
    running_task: list[asyncio.Task[None]] = []
    tasks = asyncio.TaskGroup()

    def build(made: Link) -> None:
        broker = IbBroker(made, LIBRARY, replace(TERMS, **terms), writer, watcher)
        broker.pin(pinned(server))
        if known is not None:
            watcher.position_qty = known.position_qty
            broker.restore(known, kept)
        made.on_sync(broker.sync)
        watcher.broker = broker
        brokers.append(broker)
        if not runs_late:
            running_task.append(tasks.create_task(broker.run()))

    try:
        async with tasks, linked(server, before=build, **(link or {})) as up:
            if runs_late:
                running_task.append(tasks.create_task(brokers[0].run()))
            yield Bench(server, up, brokers[0], watcher, writer)
            running_task[0].cancel()
    except BaseExceptionGroup as several:  # a test names the error that it expects, not the group around it
        raise several.exceptions[0] from None
    finally:
        writer.close()
