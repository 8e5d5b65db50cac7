"""Closes a position at the broker without a daemon: at market, then all orders are cancelled, then it is proved.

Nobody else may send orders meanwhile: see `state/kill_file.py`. Each order is one of three things when this looks again
(filled, gone, or known to work), and none is repeated before the broker's position shows what the last one did.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from trader.adapters.ib.contract import of_root
from trader.adapters.ib.facts import OPERATOR_REF
from trader.adapters.ib.foreign import IbContract, IbPosition, IbTrade
from trader.adapters.ib.library import Library
from trader.adapters.ib.order_errors import Reaction, reaction_to
from trader.adapters.ib.wire import InUseError, Wire, WireTerms
from trader.domain.instruments import Instrument
from trader.domain.masking import masked
from trader.errors import AccessError, LinkError, RefusedError

_ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled"})
Say = Callable[[str], None]


class FlattenTerms(Struct, frozen=True, kw_only=True):
    """`client_ids` are tried in their order while they are in use. `fill_timeout_s` is for a close or a cancel to have
    its effect, looked for every `poll_s`; `rounds` bounds how often a flipped position is closed again."""

    wire: WireTerms
    client_ids: tuple[int, ...]
    account: str
    fill_timeout_s: float
    poll_s: float
    rounds: int


class Held(Struct, frozen=True):
    """A position in one month; `qty` is signed."""

    contract: IbContract
    qty: int


class Standing:
    """What the broker says of one account and market over one connection, asked anew each time."""

    def __init__(self, wire: Wire, market: Instrument, terms: FlattenTerms) -> None:
        self._wire = wire
        self._market = market
        self._terms = terms

    async def held(self) -> list[Held]:
        """The market's positions, month by month."""
        told: Sequence[IbPosition] = await self._wire.ask("positions", self._wire.ib.reqPositionsAsync())
        return [
            Held(each.contract, round(each.position))
            for each in told
            if each.account == self._terms.account and of_root(each.contract, self._market) and round(each.position)
        ]

    async def orders(self) -> list[IbTrade]:
        """The account's orders that have not ended, whatever they are of and whoever sent them."""
        told: Sequence[IbTrade] = await self._wire.ask("all open orders", self._wire.ib.reqAllOpenOrdersAsync())
        return [
            each for each in told if each.order.account == self._terms.account and each.orderStatus.status not in _ENDED
        ]

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> bool:
        """Whether it is so in time; asked once at least."""
        clock = asyncio.get_running_loop().time
        end_s = clock() + self._terms.fill_timeout_s
        while not await is_so():
            if clock() >= end_s:
                return False
            await asyncio.sleep(self._terms.poll_s)
        return True

    async def has_moved(self, before: Held) -> bool:
        """Whether a month's position is another one."""
        now = {each.contract.conId: each.qty for each in await self.held()}
        return now.get(before.contract.conId, 0) != before.qty

    async def is_gone(self, order_id: int) -> bool:
        """Whether none of this command's orders works under that number."""

        async def none_works() -> bool:
            ours = [each.order.orderId for each in await self.orders() if each.order.orderRef == OPERATOR_REF]
            return order_id not in ours

        return await self.until(none_works)


class Flattening:
    """One use: `run`. What is done is told to `say`, a sentence a step, as it happens."""

    def __init__(self, library: Library, market: Instrument, terms: FlattenTerms, say: Say) -> None:
        self._library = library
        self._market = market
        self._terms = terms
        self._say = say
        self._news = asyncio.Event()
        self._sent_id = 0
        self._is_refused = False
        _hush(library.name.value, "eventkit")

    async def run(self) -> bool:
        """Whether position and orders are proved to be gone. LinkError where the broker is away, before or meanwhile;
        AccessError where it has another account."""
        wire = await self._connected()
        try:
            self._check_account(wire)
            standing = Standing(wire, self._market, self._terms)
            for _ in range(self._terms.rounds):
                # Orders before positions: with none of them working, nothing changes the position behind our back.
                orders = await standing.orders()
                held = await standing.held()
                if not orders and not held:
                    self._say(f"flat: no {self._market.symbol} position and no orders at the broker")
                    return True
                for each in held:
                    if not await self._close(wire, standing, each):
                        return False
                await self._cancel_all(wire, standing)
            self._say(
                f"not flat after {self._terms.rounds} rounds: somebody else trades this account; look at it there"
            )
            return False
        finally:
            wire.end("done")

    async def _connected(self) -> Wire:
        terms = self._terms
        for client_id in terms.client_ids:
            wire = Wire(self._library, terms.wire, terms.account, self._on_error, self._on_lost)
            try:
                await wire.open(client_id)
            except InUseError:
                self._say(f"client id {client_id} is in use")
                continue
            wire.ib.execDetailsEvent.connect(self._on_execution)
            self._say(f"connected to {terms.wire.host}:{terms.wire.port} as client {client_id}")
            return wire
        msg = f"client ids {terms.client_ids[0]} to {terms.client_ids[-1]} are all in use"
        raise LinkError(msg)

    def _check_account(self, wire: Wire) -> None:
        there = wire.ib.managedAccounts()
        if self._terms.account not in there:
            shown = ", ".join(map(masked, there)) or "no account"
            msg = (
                f"the application is logged in to {shown}, and {masked(self._terms.account)} is to be closed; nothing "
                "was sent: log in there, or name the port where it is (ib.port)"
            )
            raise AccessError(msg)

    async def _close(self, wire: Wire, standing: Standing, held: Held) -> bool:
        """Close one month at market; whether the broker's position has changed since, which it may by other hands."""
        name = held.contract.localSymbol or self._market.symbol
        trade = await self._send(wire, held)
        if trade is None:
            return False
        self._say(f"position {held.qty:+d} {name}: {trade.order.action} {abs(held.qty)} at market sent")
        if await self._filled(wire, trade, abs(held.qty)):
            self._say("the close has filled")
        elif not await self._taken_back(wire, standing, trade):
            return False
        # The position may lag behind a fill that was told; where there was none, there is nothing to wait for.
        if await standing.has_moved(held) or (trade.fills and await standing.until(lambda: standing.has_moved(held))):
            return True
        self._say(f"the broker still tells of {held.qty:+d} {name}; its stop was left in place, as far as there is one")
        return False

    async def _send(self, wire: Wire, held: Held) -> IbTrade | None:
        wanted = self._library.contract(conId=held.contract.conId)
        try:
            found = await wire.ask("the contract", wire.ib.reqContractDetailsAsync(wanted))
        except RefusedError as error:
            self._say(f"not closed: {error}")
            return None
        if len(found) != 1:
            self._say(f"not closed: the broker tells of {len(found)} contracts with the number of the position's")
            return None
        order = self._library.market_order(
            "SELL" if held.qty > 0 else "BUY",
            abs(held.qty),
            account=self._terms.account,
            orderRef=OPERATOR_REF,
            tif="DAY",
            outsideRth=True,
            orderId=wire.ib.client.getReqId(),
        )
        self._sent_id, self._is_refused = order.orderId, False
        return wire.ib.placeOrder(found[0].contract, order)

    async def _filled(self, wire: Wire, trade: IbTrade, qty: int) -> bool:
        """Whether all of it filled, in time and before the broker refused it."""
        try:
            async with asyncio.timeout(self._terms.fill_timeout_s):
                while (left := qty - sum(round(fill.execution.shares) for fill in trade.fills)) > 0:
                    if self._is_refused:
                        return False
                    wire.check()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self._say(f"{left} of {qty} have not filled in {self._terms.fill_timeout_s:g} s: is the market closed?")
            return False
        return True

    async def _taken_back(self, wire: Wire, standing: Standing, trade: IbTrade) -> bool:
        """Cancel what has not filled, so that it cannot fill later; whether the broker has no such order any more."""
        wire.ib.client.cancelOrder(trade.order.orderId)
        if await standing.is_gone(trade.order.orderId):
            self._say("the close was taken back")
            return True
        self._say("the close may still work at the broker: look there before anything else is sent")
        return False

    async def _cancel_all(self, wire: Wire, standing: Standing) -> None:
        async def none_left() -> bool:
            return not await standing.orders()

        working = await standing.orders()
        if not working:
            return
        self._say(f"cancelling all orders of the account ({len(working)} of them)")
        wire.ib.reqGlobalCancel()
        if not await standing.until(none_left):
            self._say("some orders are still there")

    def _on_execution(self, trade: IbTrade, fill: object) -> None:
        del trade, fill
        self._news.set()

    def _on_lost(self, why: str) -> None:
        del why  # whoever waits sees it at the wire
        self._news.set()

    def _on_error(self, request: int, code: int, text: str) -> None:
        if request == self._sent_id and reaction_to(code) is not Reaction.NOTE:
            self._is_refused = True
            self._say(f"the broker says {code}: {text}")
        self._news.set()


def _hush(*names: str) -> None:
    """Keep the library's own log to itself: it writes whole orders, account included, on a terminal."""
    for name in names:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
