"""A seeded synthetic market: bars that look like NQ's and are nobody's, for demos, tests and training.

Structure that is in it, and nothing else:
- hours, halts, half days and holidays of the session calendar; between sessions the price gaps;
- volume and volatility by the time of day (peaks at the cash open and in its last minute, bumps at 18:00, 03:00 and
  08:30 ET, a quiet evening), thin on days without a cash market;
- volatility clustering: log volatility is a session's AR(1) (half-life five sessions) plus a minute's (46 minutes);
  volume follows volatility and the size of the move; one minute in fifty moves three times as much;
- mild momentum: a hidden regime, -1, 0 or 1, drawn anew every two hours on average, drifts by `momentum` standard
  deviations a minute. Its mean is zero: nothing is earned by being long or short, and `momentum` 0 is a pure walk;
- trades bounce by a tick; in thin minutes there may be none, and the bar is missing, as vendors leave it out;
- with `rolls`, the front month by the calendar rule; the new contract trades 0.2 to 0.5 % above the old.

Reproducible: a seed gives the same bars on every platform and every version of NumPy. Only the raw output of PCG64 is
drawn (NumPy promises its stream; the distributions of Generator have no such promise), a fixed number of words a
minute; all arithmetic on it is integers, + - * / and square roots, which IEEE 754 fixes. A longer run begins with the
shorter one.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns
from trader.domain.instruments import Instrument
from trader.domain.rolls import front_contract
from trader.domain.sessions import Calendar, Session
from trader.domain.units import DAY_NS, MINUTE_NS
from trader.errors import ConfigurationError, InputError, InvariantError
from trader.kernels.synthetic import PRICE, STATE_SIZE, WORDS_A_MINUTE, open_gap, uniform, walk

BAR_MINUTES = (1, 3, 5, 15)
SESSION_WORDS = 20
MINUTES_FULL = 23 * 60
CASH_OPEN = 15 * 60 + 30
"""Minutes from the session's open at 18:00 to 09:30."""

Knots = tuple[tuple[int, float], ...]

# Contracts a minute, and standard deviation of a minute's return in basis points, at minutes from 18:00 ET; linear
# between knots. Round numbers in the order of NQ's around 2020.
NIGHT_VOLUME: Knots = (
    *((0, 400.0), (1, 210.0), (10, 75.0), (60, 95.0), (120, 180.0), (150, 150.0), (240, 130.0), (360, 65.0)),
    *((470, 110.0), (480, 180.0), (540, 320.0), (600, 210.0), (720, 140.0), (840, 250.0), (869, 190.0)),
    *((870, 500.0), (880, 280.0), (900, 260.0), (929, 640.0), (930, 640.0)),
)
NIGHT_SIGMA: Knots = (
    *((0, 5.5), (1, 3.2), (10, 1.6), (60, 1.8), (120, 2.5), (150, 2.0), (240, 1.9), (360, 1.3), (470, 1.6)),
    *((480, 2.4), (540, 3.2), (600, 2.5), (720, 1.9), (840, 2.5), (869, 2.0), (870, 4.8), (872, 2.9)),
    *((880, 2.3), (929, 2.5), (930, 2.5)),
)
# Added to the middle of the regular session: by minutes since its open, and by minutes left after this one.
DAY_VOLUME, DAY_SIGMA = 700.0, 3.3
OPEN_VOLUME: Knots = (
    *((0, 3600.0), (1, 2300.0), (5, 1800.0), (10, 1400.0), (30, 1100.0), (60, 700.0), (120, 300.0), (240, 0.0)),
)
OPEN_SIGMA: Knots = ((0, 5.6), (1, 4.6), (10, 3.2), (30, 2.6), (60, 1.2), (120, 0.5), (240, 0.0))
END_VOLUME: Knots = ((0, 4300.0), (1, 900.0), (4, 1500.0), (10, 500.0), (30, 150.0), (60, 50.0), (120, 0.0))
END_SIGMA: Knots = ((0, 2.8), (1, 0.6), (4, 2.0), (10, 0.8), (30, 0.2), (60, 0.0))
AFTER_VOLUME: Knots = ((0, 2500.0), (1, 900.0), (10, 350.0), (14, 550.0), (30, 250.0), (40, 75.0), (60, 110.0))
AFTER_SIGMA: Knots = ((0, 4.2), (1, 2.6), (10, 1.9), (14, 2.4), (30, 2.2), (40, 1.2), (60, 1.4))
HOLIDAY_SHARE = 0.45


class SyntheticMarket(Struct, frozen=True, kw_only=True):
    """What is generated. `start_price` is points; `volatility` scales every return and gap (1.0: about 1.2 % a
    session); `momentum` is a regime's drift in standard deviations a minute; `gap` is the usual jump between two
    sessions as a fraction of the price. With `rolls` symbols are contracts such as NQZ19, and the first bar of each
    later one has its roll offset; without, the symbol is the market's own and nothing rolls."""

    instrument: Instrument
    bar_minutes: int = 1
    rolls: bool = True
    start_price: float = 12_000.0
    volatility: float = 1.0
    momentum: float = 0.04
    gap: float = 0.0004


def generate(
    seed: int, start: str, sessions: int, *, calendar: Calendar, market: SyntheticMarket
) -> Iterator[BarColumns]:
    """Bars of `sessions` sessions from the first on or after ISO date `start`, one BarColumns a session.

    Bars of 3, 5 and 15 minutes are those of one minute put together. ConfigurationError on another `bar_minutes`,
    InputError where the calendar ends before the last session.
    """
    if market.bar_minutes not in BAR_MINUTES:
        msg = f"no synthetic bars of {market.bar_minutes} minutes; one of {', '.join(map(str, BAR_MINUTES))}"
        raise ConfigurationError(msg)
    first = _first_index(calendar, start, sessions)
    walker = _Walker(seed, market)
    for index in range(first, first + sessions):
        session = calendar.session(index)
        minutes = walker.minutes(session)
        yield minutes if market.bar_minutes == 1 else _put_together(minutes, session, market.bar_minutes)


class _Walker:
    """The market's state from session to session; what it was yesterday decides today."""

    def __init__(self, seed: int, market: SyntheticMarket) -> None:
        self._stream = np.random.PCG64(seed)
        self._market = market
        self._state = np.zeros(STATE_SIZE)
        self._state[PRICE] = market.start_price * market.instrument.ticks_per_point
        self._symbol = ""
        self._last_close_ns = 0

    def minutes(self, session: Session) -> BarColumns:
        """The one-minute bars of the next session."""
        offset_ticks = self._begin(session)
        minute = _trading_minutes(session)
        volume_mean, sigma = _profile(_cash_minutes(session))
        ohlc = np.empty((len(minute), 4), dtype=np.int64)
        volume = np.empty(len(minute), dtype=np.int64)
        words = self._words(len(minute) * WORDS_A_MINUTE).reshape(-1, WORDS_A_MINUTE)
        sigma = self._market.volatility * sigma[minute]
        walk(words, self._state, volume_mean[minute], sigma, self._market.momentum, ohlc, volume)
        traded = volume > 0
        points = ohlc[traded] / self._market.instrument.ticks_per_point
        opens = session.open_ns + minute[traded] * MINUTE_NS
        offsets = np.zeros(len(opens))
        offsets[0] = offset_ticks / self._market.instrument.ticks_per_point
        return BarColumns(
            ts_open_ns=opens,
            ts_close_ns=opens + MINUTE_NS,
            open=np.ascontiguousarray(points[:, 0]),
            high=np.ascontiguousarray(points[:, 1]),
            low=np.ascontiguousarray(points[:, 2]),
            close=np.ascontiguousarray(points[:, 3]),
            volume=volume[traded],
            symbols=(self._symbol,),
            symbol_index=np.zeros(len(opens), dtype=np.int64),
            roll_offset=offsets,
        )

    def _begin(self, session: Session) -> int:
        """The night before `session`: gap, volatility of the day, perhaps a roll, whose offset in ticks is returned."""
        words = self._words(SESSION_WORDS)
        if self._last_close_ns:
            nights = -(-(session.open_ns - self._last_close_ns) // DAY_NS)
            open_gap(words, self._state, self._market.gap * self._market.volatility, nights)
        self._last_close_ns = session.close_ns
        symbol = (
            front_contract(self._market.instrument, session.date)
            if self._market.rolls
            else self._market.instrument.symbol
        )
        rolled = self._symbol not in {"", symbol}
        self._symbol = symbol
        if not rolled:
            return 0
        offset_ticks = int(self._state[PRICE] * (0.002 + 0.003 * uniform(int(words[16]))))
        self._state[PRICE] += offset_ticks
        return offset_ticks

    def _words(self, count: int) -> NDArray[np.int64]:
        """The next `count` 16-bit words of the stream, a multiple of four, low word first on every platform."""
        raw = self._stream.random_raw(count // 4)
        return raw.astype("<u8").view("<u2").astype(np.int64)


def _first_index(calendar: Calendar, start: str, sessions: int) -> int:
    """Index of the first session on or after `start`."""
    if sessions < 1:
        msg = f"{sessions} sessions of synthetic bars make no market; ask for at least 1"
        raise ConfigurationError(msg)
    first = calendar.index_from(start)
    if first + sessions > len(calendar):
        msg = f"the calendar ends {len(calendar) - first} sessions after {start}, before {sessions}; start earlier"
        raise InputError(msg)
    return first


def _trading_minutes(session: Session) -> NDArray[np.int64]:
    """Minutes since the open in which the session trades."""
    minute = np.arange((session.close_ns - session.open_ns) // MINUTE_NS)
    for begin, end in session.halts:
        times = session.open_ns + minute * MINUTE_NS
        minute = minute[(times < begin) | (times >= end)]
    return minute


def _cash_minutes(session: Session) -> int:
    """Length of the regular session, 0 without one."""
    return (session.rth_close_ns - session.rth_open_ns) // MINUTE_NS


@cache
def _profile(cash_minutes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean volume, and standard deviation of a return as a fraction, of each of the 1,380 minutes from 18:00 ET."""
    volume, sigma = zip(*(_minute_profile(minute, cash_minutes) for minute in range(MINUTES_FULL)), strict=True)
    return np.array(volume), np.array(sigma) / 10_000.0


def _minute_profile(minute: int, cash_minutes: int) -> tuple[float, float]:
    """Volume and basis points of one minute; in plain floats, whose every operation rounds alike everywhere."""
    if not cash_minutes:
        return HOLIDAY_SHARE * _between(NIGHT_VOLUME, minute), 0.7 * _between(NIGHT_SIGMA, minute)
    since, left = minute - CASH_OPEN, CASH_OPEN + cash_minutes - 1 - minute
    if since < 0:
        return _between(NIGHT_VOLUME, minute), _between(NIGHT_SIGMA, minute)
    if left < 0:
        return _between(AFTER_VOLUME, -left - 1), _between(AFTER_SIGMA, -left - 1)
    return (
        DAY_VOLUME + _between(OPEN_VOLUME, since) + _between(END_VOLUME, left),
        DAY_SIGMA + _between(OPEN_SIGMA, since) + _between(END_SIGMA, left),
    )


def _between(knots: Knots, minute: int) -> float:
    """Linear between `knots`, and the last value after the last."""
    before, level = knots[0]
    for at, value in knots:
        if minute < at:
            return level + (value - level) * (minute - before) / (at - before)
        before, level = at, value
    return level


def _put_together(minutes: BarColumns, session: Session, bar_minutes: int) -> BarColumns:
    """Bars of `bar_minutes` anchored at the session's open; a bucket without a trade has no bar."""
    length_ns = bar_minutes * MINUTE_NS
    bucket = (minutes.ts_open_ns - session.open_ns) // length_ns
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    ends = np.append(starts[1:], len(minutes)) - 1
    opens = session.open_ns + bucket[starts] * length_ns
    if minutes.volume is None:
        msg = "synthetic minutes always have a volume"
        raise InvariantError(msg)
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + length_ns,
        open=minutes.open[starts],
        high=np.maximum.reduceat(minutes.high, starts),
        low=np.minimum.reduceat(minutes.low, starts),
        close=minutes.close[ends],
        volume=np.add.reduceat(minutes.volume, starts),
        symbols=minutes.symbols,
        symbol_index=minutes.symbol_index[starts],
        roll_offset=minutes.roll_offset[starts],
    )
