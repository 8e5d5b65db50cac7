"""What an advisor is told, and what comes back. Pure; may import domain and the outlook's type.

A question holds nothing that the strategy chose, nor why it is asked: advice is a second opinion.
"""

from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from trader.domain.decisions import Advice, AdviceStatus
from trader.domain.units import SECOND_NS

if TYPE_CHECKING:
    from trader.domain.instruments import Instrument
    from trader.outlook import Outlook

SECONDS_PER_DAY = 86_400
CONFIDENCE_STEPS = 1024
_ORDINAL_1970 = date(1970, 1, 1).toordinal()
_CLOCK = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60))
_USABLE = frozenset({AdviceStatus.USED, AdviceStatus.CACHED})


class Question(Struct, frozen=True, kw_only=True, gc=False):
    """The market and the account at the close of bar `seq`, in the units that a prompt prints.

    Prices, `atr`, `vwap` and `momentum` (over 20 bars) are points; `vwap_distance` is a fraction of the VWAP; money is
    cents. `entry_price` and `stop_price` are None when flat. `mask` has bit i set where Action(i) is valid now.
    `session_open_ns`, `symbol`, `position_qty` and `trades_closed` together change with session, roll and position.
    """

    seq: int
    ts_close_ns: int
    session_open_ns: int
    market: str
    symbol: str
    market_name: str
    time_et: str
    price: float
    atr: float
    adx: float
    rsi: float
    vwap: float
    vwap_distance: float
    momentum: float
    regime: int
    mask: int
    position_qty: int
    entry_price: float | None
    stop_price: float | None
    trailing: bool
    unrealized_cents: int
    initial_risk_cents: int
    win_rate: float
    streak: int
    balance_cents: int
    trades_closed: int


class Scores(Struct, frozen=True, gc=False):
    """What a model makes of the valid actions' labels.

    `log_probs[i]` is the natural logarithm of Action(i)'s probability among the valid ones (which sum to 1), None where
    it is not valid. `legal_mass` is the probability, 0..1, that the model left to all of them together.
    """

    log_probs: tuple[float | None, ...]
    legal_mass: float


class Trace(Struct, frozen=True, kw_only=True):
    """What the advisor log keeps of an exchange; no decision reads it.

    `messages` are (role, content), `reply` is the model's text where it wrote one, `latency_ms` is wall clock.
    """

    backend: str
    messages: tuple[tuple[str, str], ...]
    reply: str | None = None
    latency_ms: float | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What became of a question.

    A back end that scores labels gives `scores` and no advice: the calibration makes the advice of them. `is_batched`
    marks scores that were computed many at a time, which differ in the last bits from those of one.

    `age_s` is bar time since the advice was given, `reuse` how often the cache has served it. `visible_from_bar` is the
    seq of the first bar that may use it, None where there is nothing to use. `error` is for people, not for records.
    """

    status: AdviceStatus
    advice: Advice | None = None
    from_cache: bool = False
    age_s: int = 0
    reuse: int = 0
    visible_from_bar: int | None = None
    prompt_sha256: str | None = None
    error: str | None = None
    scores: Scores | None = None
    is_batched: bool = False
    trace: Trace | None = None

    @property
    def usable(self) -> Advice | None:
        """The advice that fusion may compare; None for every other outcome."""
        return self.advice if self.status in _USABLE else None


def ask_about(outlook: "Outlook", seq: int, instrument: "Instrument") -> Question:
    """The question that the close of bar `seq` raises."""
    bar, reading, account, session = outlook.bar, outlook.reading, outlook.account, outlook.session
    is_flat = account.position_qty == 0
    return Question(
        seq=seq,
        ts_close_ns=bar.ts_close_ns,
        session_open_ns=session.open_ns,
        market=instrument.symbol,
        symbol=bar.symbol,
        market_name=instrument.name,
        time_et=time_et(bar.ts_close_ns, session.et_offset_s),
        price=bar.close,
        atr=reading.atr,
        adx=reading.adx,
        rsi=reading.rsi,
        vwap=reading.vwap,
        vwap_distance=reading.vwap_distance,
        momentum=reading.momentum,
        regime=reading.regime,
        mask=outlook.mask,
        position_qty=account.position_qty,
        entry_price=None if is_flat else instrument.to_points(account.entry_ticks),
        stop_price=None if is_flat else instrument.to_points(account.stop_ticks),
        trailing=account.trailing,
        unrealized_cents=account.equity_cents - account.balance_cents,
        initial_risk_cents=account.initial_risk_cents,
        win_rate=account.win_rate,
        streak=account.streak,
        balance_cents=account.balance_cents,
        trades_closed=account.trades_closed,
    )


def time_et(ts_ns: int, et_offset_s: int) -> str:
    """A moment on New York's clock, `2023-03-15 10:31`; the offset is the session's, in seconds east of UTC."""
    days, second = divmod(ts_ns // SECOND_NS + et_offset_s, SECONDS_PER_DAY)
    return f"{_date(days)} {_CLOCK[second // 60]}"


@lru_cache(maxsize=4)
def _date(days_since_1970: int) -> str:
    return date.fromordinal(_ORDINAL_1970 + days_since_1970).isoformat()


def to_step(confidence: float) -> float:
    """Round to 1/1024: the decimal in a record, cut to 1e-6, still names the number exactly."""
    return round(confidence * CONFIDENCE_STEPS) / CONFIDENCE_STEPS
