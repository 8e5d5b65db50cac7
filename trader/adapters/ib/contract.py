"""The contract that is traded: one month, by the rule that files roll by, pinned by the broker's number for it.

The continuous contract (CONTFUT) is never asked for: it cannot be traded, and what it means changes under a position.
"""

import datetime

from msgspec import Struct

from trader.adapters.files.rolls import expiry
from trader.adapters.ib.data_client import DataLink
from trader.adapters.ib.foreign import IbContract, IbContractDetails
from trader.adapters.ib.library import Library
from trader.domain.instruments import Instrument, contract_year_month
from trader.domain.rolls import front_contract, roll_date
from trader.domain.sessions import Calendar, Session
from trader.errors import ConfigurationError, LinkError, RefusedError

FUTURE, CURRENCY = "FUT", "USD"
UNKNOWN_CONTRACT = 200
_EXCHANGES = {"YM": "CBOT", "MYM": "CBOT"}
_TICK_TOLERANCE = 1e-9


class Pinned(Struct, frozen=True, kw_only=True):
    """One month, known by `con_id`. `symbol` is the project's name (NQH20), `local_symbol` the broker's (NQH0).

    `expiry` is the ISO date of the last morning of trade, `multiplier` is dollars a point.
    """

    con_id: int
    market: str
    symbol: str
    local_symbol: str
    trading_class: str
    exchange: str
    expiry: str
    multiplier: int


def exchange_of(market: Instrument) -> str:
    """Where the broker says that a market is traded."""
    return _EXCHANGES.get(market.symbol, "CME")


def session_from(calendar: Calendar, now_ns: int) -> Session:
    """The session that is open, or else the next one."""
    return calendar.at(now_ns) or calendar.next_open(now_ns)


def front_at(market: Instrument, calendar: Calendar, now_ns: int) -> str:
    """The month to trade in the session that is open, or else in the next one, by the project's roll rule."""
    return front_contract(market, session_from(calendar, now_ns).date)


def roll_from_ns(calendar: Calendar, symbol: str) -> int:
    """From when on the month after `symbol` is the front: the close of the last session of `symbol` by the rule."""
    first = calendar.index_from(roll_date(*contract_year_month(symbol)).isoformat())
    return calendar.session(first - 1).close_ns


async def resolve(link: DataLink, library: Library, market: Instrument, calendar: Calendar, now_ns: int) -> Pinned:
    """The front month at `now_ns`, checked against what this project knows of the market.

    ConfigurationError where the broker has no such contract or another one; LinkError where it does not say.
    """
    return await resolve_month(link, library, market, front_at(market, calendar, now_ns))


async def resolve_month(link: DataLink, library: Library, market: Instrument, symbol: str) -> Pinned:
    """The month called `symbol` (NQH20), which may have expired; errors as `resolve`."""
    year, month = contract_year_month(symbol)
    wanted = library.contract(
        symbol=market.symbol,
        secType=FUTURE,
        lastTradeDateOrContractMonth=f"{year:04d}{month:02d}",
        exchange=exchange_of(market),
        currency=CURRENCY,
        includeExpired=True,
    )
    try:
        found = list(await link.ask(f"contract {symbol}", link.ib.reqContractDetailsAsync(wanted)))
    except RefusedError as refused:
        if refused.code != UNKNOWN_CONTRACT:
            raise
        found = []
    else:
        if not found:  # what it does not know it refuses; an end without a beginning is no answer
            msg = f"the broker has told nothing of {symbol}"
            raise LinkError(msg)
    told = {each.contract.conId: each for each in found}  # a frame may come twice
    ours = [each for each in told.values() if _is_month(each, market, f"{year:04d}{month:02d}")]
    if not ours:
        msg = (
            f"the broker knows no {symbol} at {exchange_of(market)}: see that the account may trade US futures, and "
            "that the clock of this machine is right"
        )
        raise ConfigurationError(msg)
    if len(ours) > 1:
        names = ", ".join(f"{each.contract.localSymbol} ({each.contract.conId})" for each in ours)
        msg = f"the broker has more than one {symbol} at {exchange_of(market)}: {names}; none of them is traded"
        raise ConfigurationError(msg)
    return _checked(ours[0], market, symbol)


def require_alive(pinned: Pinned, calendar: Calendar, now_ns: int) -> None:
    """ConfigurationError where the month has had its last day: there is nothing left to trade."""
    date = session_from(calendar, now_ns).date
    if date > pinned.expiry:
        msg = f"{pinned.symbol} has expired on {pinned.expiry}; the front month on {date} is another one"
        raise ConfigurationError(msg)


def of_root(contract: IbContract, market: Instrument) -> bool:
    """Whether a contract of the broker is a month of the market, whichever."""
    return contract.secType == FUTURE and contract.symbol == market.symbol


def as_contract(library: Library, pinned: Pinned) -> IbContract:
    """What requests and orders name."""
    return library.contract(
        conId=pinned.con_id,
        symbol=pinned.market,
        secType=FUTURE,
        lastTradeDateOrContractMonth=pinned.expiry.replace("-", ""),
        multiplier=str(pinned.multiplier),
        exchange=pinned.exchange,
        currency=CURRENCY,
        localSymbol=pinned.local_symbol,
        tradingClass=pinned.trading_class,
        includeExpired=True,
    )


def _is_month(details: IbContractDetails, market: Instrument, year_month: str) -> bool:
    contract = details.contract
    month = details.contractMonth or contract.lastTradeDateOrContractMonth[:6]
    return of_root(contract, market) and contract.tradingClass == market.symbol and month == year_month


def _checked(details: IbContractDetails, market: Instrument, symbol: str) -> Pinned:
    contract = details.contract
    dollars = market.tick_value_cents * market.ticks_per_point // 100
    for what, told, known in (
        ("tick", details.minTick, market.tick),
        ("multiplier", float(contract.multiplier or 0), float(dollars)),
    ):
        if abs(told - known) > _TICK_TOLERANCE:
            msg = f"{symbol}: the broker says that its {what} is {told:g}, here it is {known:g}; nothing is traded"
            raise ConfigurationError(msg)
    if not contract.conId:
        msg = f"{symbol}: the broker's answer has no conId"
        raise LinkError(msg)
    return Pinned(
        con_id=contract.conId,
        market=market.symbol,
        symbol=symbol,
        local_symbol=contract.localSymbol,
        trading_class=contract.tradingClass,
        exchange=contract.exchange or exchange_of(market),
        expiry=_expiry(contract, symbol),
        multiplier=dollars,
    )


def _expiry(contract: IbContract, symbol: str) -> str:
    text = contract.lastTradeDateOrContractMonth.partition(" ")[0]
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date().isoformat()  # noqa: DTZ007 -- a date, no moment
    except ValueError:  # only the month was told
        return expiry(symbol).isoformat()
