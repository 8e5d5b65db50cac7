"""Answers to requests for contracts, history and market data, and what is streamed to those who subscribed."""

import asyncio
import datetime
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.gateway import layouts
from trader.gateway.contracts import Contract, Wanted
from trader.gateway.layouts import HistoryRequest, Message, Price, Request
from trader.gateway.market import CENTRAL, HistoryRefusedError, Market, Merged, five_seconds, minutes_of, stamp, told
from trader.gateway.order_answers import no_answer
from trader.gateway.server import Handler, Server
from trader.gateway.session import HistoryFeed, Session
from trader.gateway.wire import Cursor

UNKNOWN = "No security definition has been found for the request"
LIVE, DELAYED = 1, 3
BID, ASK, LAST = 1, 2, 4
_DELAYED_TICKS = {BID: 66, ASK: 67, LAST: 68}


class DataAnswers:
    """Contract details, history, and the beginning and end of subscriptions. `data_type` is the right there
    is; `is_wanted` is set once anybody has subscribed to anything.
    """

    def __init__(self, market: Market) -> None:
        self.data_type = LIVE
        self.is_wanted = asyncio.Event()
        self._market = market

    def handlers(self) -> dict[Request, Handler]:
        """By request."""
        return {
            Request.CONTRACT_DETAILS: self._details,
            Request.HISTORY: self._history,
            Request.CANCEL_HISTORY: lambda session, fields: _drop(session.wants.history, fields),
            Request.HEAD_TIMESTAMP: self._head,
            Request.CANCEL_HEAD_TIMESTAMP: no_answer,
            Request.REAL_TIME_BARS: self._real_time,
            Request.CANCEL_REAL_TIME_BARS: lambda session, fields: _drop(session.wants.real_time, fields),
            Request.MARKET_DATA: self._quotes,
            Request.CANCEL_MARKET_DATA: lambda session, fields: _drop(session.wants.quotes, fields),
            Request.MARKET_DATA_TYPE: self._set_type,
        }

    def _details(self, session: Session, fields: list[str]) -> None:
        at = Cursor(fields, 2)
        req_id, wanted = at.whole(), layouts.read_contract(at)
        found = self._market.find(_with_expired(wanted, includes=at.flag()))
        if not found:
            session.send(layouts.error(req_id, 200, UNKNOWN))
            return
        hours = self._market.hours()
        for contract in found:
            session.send(layouts.contract_details(req_id, contract, wanted.sec_type or "FUT", hours))
        session.send([Message.CONTRACT_DETAILS_END, 1, req_id])

    def _history(self, session: Session, fields: list[str]) -> None:
        wanted = layouts.read_history(fields)
        contract = self._one(session, wanted.req_id, _with_expired(wanted.contract, includes=True))
        if contract is None:
            return
        try:
            bars = self._bars(wanted, contract)
        except HistoryRefusedError as refused:
            session.send(layouts.error(wanted.req_id, refused.code, str(refused)))
            return
        now = stamp(self._market.told_ns, is_epoch=False)
        session.send(layouts.history(wanted.req_id, bars[0].stamp if bars else now, now, bars))
        if wanted.keeps_up:
            self.is_wanted.set()
            session.wants.history[wanted.req_id] = HistoryFeed(
                contract=contract, size_minutes=minutes_of(wanted.bar_size), is_epoch=wanted.is_epoch
            )

    def _bars(self, wanted: HistoryRequest, contract: Contract) -> list[Price]:
        if wanted.end and wanted.keeps_up:
            raise HistoryRefusedError(321, "Error validating request.-'bW' : cause - End time with keepUpToDate")
        end_ns = _end_ns(wanted.end) if wanted.end else None
        bars = self._market.history(contract, wanted.duration, wanted.bar_size, end_ns)
        if not bars and not wanted.keeps_up:
            raise HistoryRefusedError(162, "Historical Market Data Service error message:HMDS query returned no data")
        return [told(bar, is_epoch=wanted.is_epoch) for bar in bars]

    def _head(self, session: Session, fields: list[str]) -> None:
        at = Cursor(fields, 1)
        req_id, wanted = at.whole(), layouts.read_contract(at)
        at.skip(3)  # includeExpired, useRTH, whatToShow
        contract = self._one(session, req_id, _with_expired(wanted, includes=True))
        first_ns = None if contract is None else self._market.first_ns(contract)
        if contract is not None and first_ns is None:
            session.send(layouts.error(req_id, 162, "Historical Market Data Service error message:No head time stamp"))
        elif first_ns is not None:
            session.send([Message.HEAD_TIMESTAMP, req_id, _head_text(first_ns, is_epoch=at.whole() == 2)])

    def _real_time(self, session: Session, fields: list[str]) -> None:
        at = Cursor(fields, 2)
        req_id, wanted = at.whole(), layouts.read_contract(at)
        contract = self._one(session, req_id, wanted)
        if contract is not None:
            session.wants.real_time[req_id] = contract
            self.is_wanted.set()

    def _quotes(self, session: Session, fields: list[str]) -> None:
        at = Cursor(fields, 2)
        req_id, wanted = at.whole(), layouts.read_contract(at)
        contract = self._one(session, req_id, wanted)
        if contract is None:
            return
        kind = max(self.data_type, LIVE)
        if kind != LIVE and session.wants.data_type == LIVE:
            session.send(layouts.error(req_id, 354, "Requested market data is not subscribed."))
            return
        session.wants.quotes[req_id] = contract
        self.is_wanted.set()
        session.send([Message.TICK_PARAMETERS, req_id, 1 / contract.ticks_per_point, "9c0001", 3])
        session.send([Message.MARKET_DATA_TYPE, 1, req_id, kind])
        tell_quote(session, req_id, contract, self._market.last, kind)

    def _set_type(self, session: Session, fields: list[str]) -> None:
        session.wants.data_type = Cursor(fields, 2).whole()

    def _one(self, session: Session, req_id: int, wanted: Wanted) -> Contract | None:
        found = self._market.find(wanted)
        if len(found) == 1:
            return found[0]
        session.send(layouts.error(req_id, 200, UNKNOWN))
        return None


class Ticker:
    """Streams the market to subscribers.

    What a script of faults may set: `is_muted` (nothing is told), and for the bar that is forming `repeats` (its end is
    told twice), `is_late` (its end is told after the next one's beginning) and `revision_ticks` (it is told again then,
    with another close).
    """

    def __init__(self, server: Server, market: Market, answers: DataAnswers) -> None:
        self._server = server
        self._market = market
        self._answers = answers
        self.is_muted = False
        self.repeats = False
        self.is_late = False
        self.revision_ticks = 0
        self._after: list[Merged] = []

    def opened(self) -> None:
        """A bar has opened: its first update, which closes the one before, and the price."""
        late, self._after = self._after, []
        for session in () if self.is_muted else self._server.sessions:
            self._update(session, self._forming)
            for bar in late:
                self._update(session, partial(self._only, bar))
            self._quote(session, self._market.bar.open)

    def finished(self) -> None:
        """The bar is whole: its last update, its five-second bars, and the price."""
        bar, front = self._market.bar, self._market.front
        whole = self._whole(self._market.minutes)
        if self.is_late:
            self._after.append(whole)
        if self.revision_ticks:
            close = whole.close + self.revision_ticks / front.ticks_per_point
            self._after.append(replace(whole, close=close, high=max(whole.high, close), low=min(whole.low, close)))
        times = 0 if self.is_late else 2 if self.repeats else 1
        self.is_late, self.repeats, self.revision_ticks = False, False, 0
        for session in () if self.is_muted else self._server.sessions:
            for req_id, contract in session.wants.real_time.items():
                for short in five_seconds(bar) if contract == front else ():
                    session.send(layouts.real_time_bar(req_id, short))
            for _ in range(times):
                self._update(session, self._whole)
            self._quote(session, bar.close)

    def closed_for_good(self) -> None:
        """No bar is left: the first update of one that never trades says that the last one has closed, of any size."""
        for session in () if self.is_muted else self._server.sessions:
            self._update(session, self._never_traded)

    def _never_traded(self, size_minutes: int) -> Merged:
        last, size_ns = self._market.bar, size_minutes * MINUTE_NS
        ts_open_ns = -(-last.ts_close_ns // size_ns) * size_ns
        return Merged(
            ts_open_ns=ts_open_ns, open=last.close, high=last.close, low=last.close, close=last.close, volume=0
        )

    def _forming(self, size_minutes: int) -> Merged:
        return self._market.current(size_minutes, closed=False)

    def _only(self, bar: Merged, size_minutes: int) -> Merged | None:
        """`bar`, for those who have asked for bars of the market's own size."""
        return bar if size_minutes == self._market.minutes else None

    def _whole(self, size_minutes: int) -> Merged:
        return self._market.current(size_minutes, closed=True)

    def _update(self, session: Session, bar_of: Callable[[int], Merged | None]) -> None:
        for req_id, feed in session.wants.history.items():
            bar = bar_of(feed.size_minutes)
            if bar is not None and feed.contract == self._market.front:
                session.send(layouts.history_update(req_id, told(bar, is_epoch=feed.is_epoch)))

    def _quote(self, session: Session, price: float) -> None:
        for req_id, contract in session.wants.quotes.items():
            if contract == self._market.front:
                tell_quote(session, req_id, contract, price, self._answers.data_type)


def tell_quote(session: Session, req_id: int, contract: Contract, price: float, data_type: int) -> None:
    """Bid, ask and last, a tick apart."""
    for kind, quoted, size in ((BID, price - 1 / contract.ticks_per_point, 5), (ASK, price, 7), (LAST, price, 1)):
        number = kind if data_type == LIVE else _DELAYED_TICKS[kind]
        session.send(layouts.tick_price(req_id, number, quoted, size))


def _drop(wanted: dict[int, HistoryFeed] | dict[int, Contract], fields: list[str]) -> None:
    wanted.pop(Cursor(fields, 2).whole(), None)


def _with_expired(wanted: Wanted, *, includes: bool) -> Wanted:
    return Wanted(
        con_id=wanted.con_id,
        symbol=wanted.symbol,
        sec_type=wanted.sec_type,
        expiry=wanted.expiry,
        exchange=wanted.exchange,
        local_symbol=wanted.local_symbol,
        includes_expired=includes,
    )


def _end_ns(text: str) -> int:
    """`20191203 16:00:00 US/Central`, or with `-` and in UTC; HistoryRefusedError otherwise."""
    zone: datetime.tzinfo = CENTRAL
    plain = text.strip()
    if "-" in plain:
        plain, zone = plain.replace("-", " "), datetime.UTC
    plain = " ".join(plain.split(" ")[:2])
    try:
        moment = datetime.datetime.strptime(plain, "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        raise HistoryRefusedError(321, f"Error validating request.-'bW' : cause - End time {text[:40]!r}") from None
    return round(moment.timestamp()) * SECOND_NS


def _head_text(first_ns: int, *, is_epoch: bool) -> str:
    if is_epoch:
        return str(first_ns // SECOND_NS)
    return f"{datetime.datetime.fromtimestamp(first_ns // SECOND_NS, datetime.UTC):%Y%m%d-%H:%M:%S}"
