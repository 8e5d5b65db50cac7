"""What an entry needs at the broker, and what the account has: asked for, and handed to the order gate.

The margin of one contract is what a what-if order says: it travels as an order does, and is none (`_what_if`). The
account's figures are its own. What the broker does not say is not known, and carries no entry.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import structlog
from msgspec import Struct

from trader.adapters.ib.contract import Pinned, as_contract
from trader.adapters.ib.facts import Funds
from trader.adapters.ib.foreign import IbContract, IbOrder, IbOrderState
from trader.adapters.ib.foreign_client import IB
from trader.adapters.ib.library import Library
from trader.adapters.ib.order_wire import OrderLink
from trader.adapters.ib.readings import cents_of
from trader.adapters.ib.truth import fetch_funds, lost_is_told
from trader.domain.actions import Side
from trader.errors import InvariantError, LinkError
from trader.risk.margin import UNKNOWN, MarginFigures, MarginPeriod

log = structlog.get_logger("trader.margin")
_ACTIONS = {Side.BUY: "BUY", Side.SELL: "SELL"}


class MarginLink(OrderLink, Protocol):
    """The connection, which can be waited for; `Link` is one."""

    async def wait_up(self) -> None: ...


class MarginBroker(Protocol):
    """Who sends orders on that connection; `IbBroker` is one."""

    @property
    def taken(self) -> str | None:
        """Why nothing may be sent at all; None where it may."""
        ...

    def reserve(self) -> None:
        """See that the library's next number is none that an order has had."""
        ...


class MarginTerms(Struct, frozen=True, kw_only=True):
    """`every_s` seconds after the last answer, and after each fill, the broker is asked; again `retry_s` after it did
    not answer. Figures older than `age_s` are not known any more; 0: they do not age.
    """

    account: str
    every_s: float
    retry_s: float
    age_s: float


class NeededMargin(Struct, frozen=True, kw_only=True):
    """What one more contract needs, whole cents; None where the broker has not said."""

    initial_cents: int | None
    maintenance_cents: int | None


class MarginDesk:
    """Asks for one account and one month, and tells `on_figures` at each answer, and when the last one is too old.

    While the account is another process's nothing is asked: a what-if order is an order on the wire.
    `sync` is a hook of the link's in lockstep only: else nobody waits for these figures, `run` asks for them.
    """

    def __init__(
        self,
        link: MarginLink,
        library: Library,
        terms: MarginTerms,
        on_figures: Callable[[MarginFigures], None],
        broker: MarginBroker,
    ) -> None:
        self._link = link
        self._library = library
        self._terms = terms
        self._on_figures = on_figures
        self._broker = broker
        self._wanted = asyncio.Event()
        self._answered_s: float | None = None
        self._night = (1.0, 1.0)
        self.contract: Pinned | None = None
        self.figures = UNKNOWN

    def ask_soon(self) -> None:
        """Something has changed: a fill, a connection."""
        self._wanted.set()

    async def sync(self) -> None:
        """Ask now, before the link is up; what the broker does not say keeps nobody from being in step."""
        with suppress(LinkError):
            await self._ask()

    async def run(self) -> None:
        """Ask when it is time to, for ever."""
        terms = self._terms
        wait_s = terms.retry_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wanted.wait()
            wait_s = terms.retry_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._link.wait_up()
                self._wanted.clear()
                await self._ask()
                wait_s = terms.every_s
            except (LinkError, TimeoutError) as error:
                log.warning("margin_not_said", why=str(error) or "the link is down")
            self._age()

    async def _ask(self) -> None:
        """One round: three questions, and the answer told. LinkError where there is none to one of them."""
        contract = self.contract
        if contract is None:
            msg = "there is no contract yet"
            raise LinkError(msg)
        needed = dearer(await self._needed(contract, Side.BUY), await self._needed(contract, Side.SELL))
        funds = await fetch_funds(self._link, self._terms.account)
        self._answered_s = asyncio.get_running_loop().time()
        self._night = night_shares(funds, self._night)
        self._tell(margin_figures(needed, funds, self._night))

    async def _needed(self, contract: Pinned, side: Side) -> NeededMargin:
        order = self._library.order(
            action=_ACTIONS[side],
            totalQuantity=1,
            orderType="MKT",
            account=self._terms.account,
            whatIf=True,
        )
        taken = self._broker.taken
        if taken is not None:
            raise LinkError(taken)
        self._broker.reserve()
        with lost_is_told():
            question = _what_if(self._link.ib, as_contract(self._library, contract), order)
            told = await self._link.ask("the margin", question)
        if not isinstance(getattr(told, "initMarginChange", None), str):
            msg = f"the broker answered the what-if order by {told!r}"
            raise LinkError(msg)
        return NeededMargin(
            initial_cents=cents_of(told.initMarginChange), maintenance_cents=cents_of(told.maintMarginChange)
        )

    def _age(self) -> None:
        age_s, answered_s = self._terms.age_s, self._answered_s
        if not age_s or answered_s is None or asyncio.get_running_loop().time() - answered_s < age_s:
            return
        self._answered_s = None
        log.error("margin_is_old", older_than_s=age_s, effect="no entries until the broker says the margin again")
        self._tell(UNKNOWN)

    def _tell(self, figures: MarginFigures) -> None:
        self.figures = figures
        self._on_figures(figures)


def dearer(one: NeededMargin, other: NeededMargin) -> NeededMargin:
    """What one more contract needs, whoever holds something on this account: to the other side it needs less, or gives
    back. What the broker does not say of both is not known.
    """
    return NeededMargin(
        initial_cents=_larger(one.initial_cents, other.initial_cents),
        maintenance_cents=_larger(one.maintenance_cents, other.maintenance_cents),
    )


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _what_if(ib: IB, contract: IbContract, order: IbOrder) -> Awaitable[IbOrderState]:
    """What this order would do to the account: the only way in which a question leaves as an order does.

    InvariantError for an order that is meant: nothing but the flag keeps the broker from filling it.
    """
    if order.whatIf is not True:
        msg = "an order that is meant was to leave as a question"
        raise InvariantError(msg)
    return ib.whatIfOrderAsync(contract, order)


def margin_figures(needed: NeededMargin, funds: Funds, night: tuple[float, float]) -> MarginFigures:
    """For the gate. What one contract needs at night is what it needs now, times `night` (initial, maintenance)."""
    return MarginFigures(
        day=MarginPeriod(
            available_cents=funds.available_cents,
            excess_cents=funds.excess_cents,
            initial_cents=needed.initial_cents,
            maintenance_cents=needed.maintenance_cents,
        ),
        overnight=MarginPeriod(
            available_cents=funds.ahead_available_cents,
            excess_cents=funds.ahead_excess_cents,
            initial_cents=_times(needed.initial_cents, night[0]),
            maintenance_cents=_times(needed.maintenance_cents, night[1]),
        ),
    )


def night_shares(funds: Funds, before: tuple[float, float]) -> tuple[float, float]:
    """How much more positions need after the next change of margins than now, initial and maintenance.

    The broker says it of positions that are held only; flat, it is what it was said to be last (1.0 before).
    """
    return (
        _share(funds.ahead_initial_margin_cents, funds.initial_margin_cents, before[0]),
        _share(funds.ahead_maintenance_margin_cents, funds.maintenance_margin_cents, before[1]),
    )


def _share(ahead_cents: int | None, now_cents: int | None, before: float) -> float:
    return ahead_cents / now_cents if ahead_cents and now_cents else before


def _times(cents: int | None, share: float) -> int | None:
    return None if cents is None else round(cents * share)
