"""The market that the gateway shows: bars, one of which may be forming, and the history before them."""

import datetime
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.domain.bars import Bar
from trader.domain.sessions import Calendar, Session
from trader.domain.units import DAY_NS, MINUTE_NS, SECOND_NS
from trader.gateway.contracts import Contract, ContractTable, Wanted, code_on
from trader.gateway.layouts import Price

CENTRAL = ZoneInfo("US/Central")
HISTORY_MAX_BARS = 100_000
DURATION_MAX = 86_400  # a day in seconds is the longest in that unit
KEPT_BARS = 64
_UNIT_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}
_SIZE_MINUTES = {"min": 1, "mins": 1, "hour": 60, "hours": 60}


class HistoryRefusedError(Exception):
    """A request for history that cannot be answered; the text is the client's error 162 or 321."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Merged(Struct, frozen=True, kw_only=True):
    """A bar as it is told: several of the market's put together, the last perhaps still forming."""

    ts_open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: int


class Market:
    """Bars in time order, of which the first `at` have closed. With `is_forming` bar `at` has opened.

    Prices are points. `now_ns` is the market's clock: the forming bar's open, or the last one's close. `skew_ns` is by
    how much the broker's own clock is off, `into_bar_ns` how far it goes on inside a bar where bars take their time;
    `told_ns` is what that shows.
    """

    def __init__(self, columns: BarColumns, contracts: ContractTable, calendar: Calendar, at: int) -> None:
        self._columns = columns
        self._calendar = calendar
        self.contracts = contracts
        self.at = at
        self.is_forming = False
        self.skew_ns = 0
        self.into_bar_ns: Callable[[], int] = _none
        self._made: dict[int, Bar] = {}
        self.minutes = int(columns.ts_close_ns[0] - columns.ts_open_ns[0]) // MINUTE_NS
        self._codes = [code_on(each, contracts.market, self._date(0)) for each in columns.symbols]

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def is_over(self) -> bool:
        """Whether no bar is left to open."""
        return self.at >= len(self)

    @property
    def bar(self) -> Bar:
        """The forming bar, with the prices that it will have; else the last that closed."""
        return self.bar_at(self.at if self.is_forming else self.at - 1)

    @property
    def now_ns(self) -> int:
        """The market's clock, nanoseconds since 1970 UTC."""
        return self.bar.ts_open_ns if self.is_forming else self.bar.ts_close_ns

    @property
    def told_ns(self) -> int:
        """The broker's clock, nanoseconds since 1970 UTC."""
        return self.now_ns + self.into_bar_ns() + self.skew_ns

    @property
    def last(self) -> float:
        """The last price that everybody can know."""
        return self.bar.open if self.is_forming else self.bar.close

    @property
    def front(self) -> Contract:
        """The month that the bars are of."""
        return self.contract_of(self.bar)

    @property
    def session(self) -> Session | None:
        """The session of the current bar."""
        return self._calendar.at(self.bar.ts_open_ns)

    @property
    def is_rth(self) -> bool:
        """Whether the current bar lies in the regular session."""
        session = self.session
        return session is not None and session.rth_open_ns <= self.bar.ts_open_ns < session.rth_close_ns

    def bar_at(self, index: int) -> Bar:
        """Bar `index` as a record."""
        if index not in self._made:
            self._made = {place: bar for place, bar in self._made.items() if place >= index - KEPT_BARS}
            self._made[index] = next(iter(self._columns.rows(index, index + 1).to_bars()))
        return self._made[index]

    def contract_of(self, bar: Bar) -> Contract:
        """The month of a bar."""
        return self.contracts.of_code(self._codes[self._columns.symbols.index(bar.symbol)])

    def find(self, wanted: Wanted) -> list[Contract]:
        """The contracts that fit a request at the market's time."""
        return self.contracts.find(wanted, central(self.now_ns).strftime("%Y%m%d"), self.front)

    def hours(self) -> tuple[str, str]:
        """Trading hours and liquid hours of the next five sessions, as contract details write them."""
        first = self._calendar.index_from(self._date(min(self.at, len(self) - 1)))
        sessions = [self._calendar.session(index) for index in range(first, min(first + 5, len(self._calendar)))]
        trading = ";".join(_span(each.open_ns, each.close_ns) for each in sessions)
        liquid = ";".join(_span(each.rth_open_ns, each.rth_close_ns) for each in sessions if each.rth_open_ns)
        return trading, liquid

    def history(self, contract: Contract, duration: str, bar_size: str, end_ns: int | None) -> list[Merged]:
        """Bars of `contract` that have closed by `end_ns` (None: now, with the one that is forming).

        HistoryRefusedError where duration or bar size is not understood, or is too much.
        """
        size = minutes_of(bar_size)
        if size % self.minutes:
            raise HistoryRefusedError(162, f"Historical Market Data Service error message:no bars of {bar_size} here")
        until_ns = self.now_ns if end_ns is None else min(end_ns, self.now_ns)
        start_ns = self._start_ns(duration, until_ns)
        first = int(np.searchsorted(self._columns.ts_open_ns, start_ns))
        last = min(int(np.searchsorted(self._columns.ts_close_ns, until_ns, side="right")), self.at)
        if last - first > HISTORY_MAX_BARS:
            raise HistoryRefusedError(
                162, f"Historical Market Data Service error message:above {HISTORY_MAX_BARS} bars"
            )
        bars = [
            bar for bar in self._columns.rows(first, max(first, last)).to_bars() if self.contract_of(bar) == contract
        ]
        bars = bars or self._before_its_first(contract, first, last)
        if end_ns is None and self.is_forming and self.front == contract:
            bars.append(_opened(self.bar))
        return list(merged(bars, size))

    def current(self, size_minutes: int, *, closed: bool) -> Merged:
        """The bar of `size_minutes` that holds the current one, as it stands; `closed` with all of the current one."""
        here = self.at if self.is_forming else self.at - 1
        bars = [self.bar if closed else _opened(self.bar)]
        bucket = bars[0].ts_open_ns // (size_minutes * MINUTE_NS)
        while here and (before := self.bar_at(here - 1)).ts_open_ns // (size_minutes * MINUTE_NS) == bucket:
            bars.insert(0, before)
            here -= 1
        return next(merged(bars, size_minutes))

    def first_ns(self, contract: Contract) -> int | None:
        """When the contract's first bar opened; None without bars."""
        codes = [index for index, code in enumerate(self._codes) if code == contract.code]
        places = np.flatnonzero(np.isin(self._columns.symbol_index, codes))
        return int(self._columns.ts_open_ns[places[0]]) if len(places) else None

    def _before_its_first(self, contract: Contract, first: int, last: int) -> list[Bar]:
        """Bars of a month that the file has only from its roll on: those of the month before, dearer by the offset of
        the roll where that is known, so that both months have a price there."""
        codes = [index for index, code in enumerate(self._codes) if code == contract.code]
        places = np.flatnonzero(np.isin(self._columns.symbol_index, codes))
        begins = int(places[0]) if len(places) else 0
        offset = float(self._columns.roll_offset[begins])
        if not begins or not offset or last > begins:
            return []
        old = self.contract_of(self.bar_at(begins - 1))
        bars = [bar for bar in self._columns.rows(first, max(first, last)).to_bars() if self.contract_of(bar) == old]
        return [
            replace(bar, open=bar.open + offset, high=bar.high + offset, low=bar.low + offset, close=bar.close + offset)
            for bar in bars
        ]

    def _start_ns(self, duration: str, until_ns: int) -> int:
        count, _, unit = duration.partition(" ")
        if not count.isdigit() or not 0 < int(count) <= DURATION_MAX:
            raise HistoryRefusedError(321, f"Error validating request.-'bW' : cause - Duration {duration!r}")
        if unit == "S":
            return until_ns - int(count) * SECOND_NS
        if unit not in _UNIT_DAYS:
            raise HistoryRefusedError(321, f"Error validating request.-'bW' : cause - Duration {duration!r}")
        return until_ns - int(count) * _UNIT_DAYS[unit] * DAY_NS

    def _date(self, index: int) -> str:
        session = self._calendar.at(int(self._columns.ts_open_ns[index]))
        return central(int(self._columns.ts_open_ns[index])).strftime("%Y-%m-%d") if session is None else session.date


def minutes_of(bar_size: str) -> int:
    """Minutes of a size such as `1 min`, `5 mins` or `1 hour`; HistoryRefusedError for any other."""
    count, _, unit = bar_size.partition(" ")
    if not count.isdigit() or unit not in _SIZE_MINUTES or not 0 < int(count) <= 60:
        raise HistoryRefusedError(
            321, f"Error validating request.-'bW' : cause - Historical data bar size {bar_size!r}"
        )
    return int(count) * _SIZE_MINUTES[unit]


def merged(bars: list[Bar], size_minutes: int) -> Iterator[Merged]:
    """Bars put together by the clock; a bucket without bars has none."""
    size_ns = size_minutes * MINUTE_NS
    waiting: list[Bar] = []
    for bar in bars:
        if waiting and bar.ts_open_ns // size_ns != waiting[0].ts_open_ns // size_ns:
            yield _merge(waiting, size_ns)
            waiting = []
        waiting.append(bar)
    if waiting:
        yield _merge(waiting, size_ns)


def _merge(bars: list[Bar], size_ns: int) -> Merged:
    return Merged(
        ts_open_ns=bars[0].ts_open_ns // size_ns * size_ns,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=-1 if bars[0].volume is None else sum(bar.volume or 0 for bar in bars),
    )


def _opened(bar: Bar) -> Bar:
    """A bar at the moment at which it opens."""
    return Bar(bar.ts_open_ns, bar.ts_close_ns, bar.symbol, bar.open, bar.open, bar.open, bar.open, 0, bar.roll_offset)


def central(ts_ns: int) -> datetime.datetime:
    """The exchange's clock."""
    return datetime.datetime.fromtimestamp(ts_ns / SECOND_NS, CENTRAL)


def stamp(ts_ns: int, *, is_epoch: bool) -> str:
    """A bar's date as the client asked for it: seconds since 1970, or the exchange's clock with its zone."""
    return str(ts_ns // SECOND_NS) if is_epoch else f"{central(ts_ns):%Y%m%d %H:%M:%S} US/Central"


def told(bar: Merged, *, is_epoch: bool) -> Price:
    """A bar as the wire has it."""
    return Price(stamp(bar.ts_open_ns, is_epoch=is_epoch), bar.open, bar.high, bar.low, bar.close, bar.volume)


def five_seconds(bar: Bar) -> Iterator[Price]:
    """A minute in bars of five seconds that give it when put together: open, adverse end, other end, close."""
    count = max(1, (bar.ts_close_ns - bar.ts_open_ns) // (5 * SECOND_NS))
    path = (
        (bar.open, bar.low, bar.high, bar.close) if bar.close >= bar.open else (bar.open, bar.high, bar.low, bar.close)
    )
    prices = [path[round(3 * place / count)] for place in range(count + 1)]
    volume = -1 if bar.volume is None else bar.volume // count
    for place in range(count):
        start, end = prices[place], prices[place + 1]
        seconds = bar.ts_open_ns // SECOND_NS + 5 * place
        yield Price(str(seconds), start, max(start, end), min(start, end), end, volume)


def _span(start_ns: int, end_ns: int) -> str:
    return f"{central(start_ns):%Y%m%d:%H%M}-{central(end_ns):%Y%m%d:%H%M}"


def _none() -> int:
    """A bar's time stands still."""
    return 0
