"""What the broker says of one account and one contract, asked for in full: complete, of one moment, or LinkError."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from msgspec import Struct

from trader.adapters.ib.contract import Pinned, of_root
from trader.adapters.ib.facts import BrokerOrder, Funds, Truth
from trader.adapters.ib.foreign import IbAccountValue, IbFill, IbPosition, IbTrade
from trader.adapters.ib.foreign_client import IB
from trader.adapters.ib.readings import ENDED, execution_of, funds_of, number, order_of, whole, wire_status
from trader.adapters.state.records import Execution
from trader.domain.instruments import Instrument, instrument
from trader.errors import LinkError

T = TypeVar("T")
_LOOKS = 3


class TruthLink(Protocol):
    """The connection as far as questions go; `Link` is one."""

    @property
    def ib(self) -> IB: ...

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T: ...


class Look(Struct, frozen=True):
    """What was said in one round of questions."""

    fills: tuple[IbFill, ...]
    positions: tuple[IbPosition, ...]
    trades: tuple[IbTrade, ...]
    is_still: bool


async def fetch_truth(link: TruthLink, pinned: Pinned, account: str, clock: Callable[[], int] = time.time_ns) -> Truth:
    """Everything, of one moment: LinkError unless every answer came with its end, and nothing moved meanwhile.

    Each question goes out alone: the library keeps one list for open orders and one for positions, and a second
    question throws the first one's away. Takes about five round trips.
    """
    market = instrument(pinned.market)
    funds = await fetch_funds(link, account)
    with lost_is_told():
        look = await _still(link, account)
    entry_ticks, position_qty = _held(look.positions, pinned, market)
    return Truth(
        position_qty=position_qty,
        entry_ticks=entry_ticks,
        orders=_orders_among(look.trades, pinned, account),
        executions=_executions(look.fills, link.ib.fills(), pinned, account),
        elsewhere=tuple(
            sorted(
                (each.contract.localSymbol, round(each.position))
                for each in look.positions
                if each.contract.conId != pinned.con_id and of_root(each.contract, market) and each.position
            )
        ),
        funds=funds,
        ts_ns=clock(),
        rests_elsewhere=_rests_elsewhere(look.trades, pinned, account),
    )


async def fetch_executions(link: TruthLink, pinned: Pinned, account: str) -> tuple[Execution, ...]:
    """The executions on this contract that the broker tells of, oldest first, with their costs as far as it has told.

    It tells of the day's, from its midnight on. LinkError where the answer has no end.
    """
    with lost_is_told():
        fills = await link.ask("executions", link.ib.reqExecutionsAsync())
        return _executions(fills, link.ib.fills(), pinned, account)


async def fetch_funds(link: TruthLink, account: str) -> Funds:
    """The account's own figures, asked for anew; the library's own way to them gives those of its first question again.

    The question is taken back: the broker tells for ever otherwise, and refuses the third (322).
    """
    ib = link.ib
    values: list[IbAccountValue] = []

    def heard(value: IbAccountValue) -> None:
        values.append(value)

    ib.accountSummaryEvent.connect(heard)
    try:
        with lost_is_told():
            request = ib.client.getReqId() + 1  # the one that the library is about to take
            try:
                await link.ask("the account's figures", ib.reqAccountSummaryAsync())
            finally:
                with suppress(ConnectionError):  # it ended with the connection; and what is raised here counts
                    ib.client.cancelAccountSummary(request)
    finally:
        ib.accountSummaryEvent.disconnect(heard)
    return funds_of(values, account)


@contextmanager
def lost_is_told() -> Iterator[None]:
    """The client's own error, where the socket went before a question, is the link's."""
    try:
        yield
    except ConnectionError as error:
        raise LinkError(str(error)) from None


async def _still(link: TruthLink, account: str) -> Look:
    """A round in which nothing moved."""
    for _ in range(_LOOKS):
        look = await _look(link, account)
        if look.is_still:
            return look
    msg = f"the account did not stand still during {_LOOKS} looks"
    raise LinkError(msg)


async def _look(link: TruthLink, account: str) -> Look:
    """One round. Positions frame it, and no execution may arrive inside: else its parts are of two moments."""
    fills = await link.ask("executions", link.ib.reqExecutionsAsync())
    heard = len(link.ib.fills())
    before = await _positions(link, account)
    trades = await link.ask("all open orders", link.ib.reqAllOpenOrdersAsync())
    after = await _positions(link, account)
    is_still = before == after and heard == len(link.ib.fills())
    return Look(tuple(fills), after, tuple(trades), is_still)


async def _positions(link: TruthLink, account: str) -> tuple[IbPosition, ...]:
    """The account's, one a contract: what changes during the answer is told again in it, and the last word counts."""
    told = await link.ask("positions", link.ib.reqPositionsAsync())
    latest = {each.contract.conId: each for each in told if each.account == account}
    return tuple(latest[con_id] for con_id in sorted(latest))


def _held(positions: Iterable[IbPosition], pinned: Pinned, market: Instrument) -> tuple[int, int]:
    """Average entry in ticks (0 when flat) and signed contracts. A future's average cost is dollars a contract.

    The broker may have put the commission into it; where that is half a tick or more (the micros) it shows.
    """
    for each in positions:
        if each.contract.conId == pinned.con_id:
            cost = number(each.avgCost)
            qty = whole(each.position)
            return (round(cost / pinned.multiplier * market.ticks_per_point) if qty and cost is not None else 0), qty
    return 0, 0


def _executions(
    fills: Iterable[IbFill], with_reports: Iterable[IbFill], pinned: Pinned, account: str
) -> tuple[Execution, ...]:
    """Oldest first. A report of costs that came for an execution is only at the library's first copy of it."""
    market = instrument(pinned.market)
    reports = {each.execution.execId: each.commissionReport for each in with_reports}
    found = [
        execution_of(each, market, reports.get(each.execution.execId))
        for each in fills
        if each.contract.conId == pinned.con_id and each.execution.acctNumber == account
    ]
    return tuple(sorted(found, key=lambda execution: execution.ts_ns))


def _orders_among(trades: Iterable[IbTrade], pinned: Pinned, account: str) -> tuple[BrokerOrder, ...]:
    """The account's on this contract that have not ended, each once, out of the answer to a question for open orders.

    What is in the answer is at the broker, unless the wire itself has said since that it has ended.
    """
    market = instrument(pinned.market)
    listed = {id(each): each for each in trades if each.contract.conId == pinned.con_id}
    found = (order_of(each, market) for each in listed.values())
    return tuple(each for each in found if each.account in {"", account} and (each.is_working or each.is_held))


def _rests_elsewhere(trades: Iterable[IbTrade], pinned: Pinned, account: str) -> bool:
    """Whether any other order, on whatever contract of whatever account, has not ended."""
    others = (
        each for each in trades if each.contract.conId != pinned.con_id or each.order.account not in {"", account}
    )
    return any(wire_status(each) not in ENDED for each in others)
