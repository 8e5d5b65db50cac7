"""The rules that remember: losing streak, win rate, daily loss, nearness to the trailing threshold, its breach.

They have counters of their own, apart from the account's, because a veto's reset clears the counter of its rule only.
How each rule ends (spec decision.md): the first two at the first session open after they fired or some minutes later,
daily loss at the next session open, the last two by the operator or with a new account.
"""

from collections import deque
from enum import StrEnum

from msgspec import Struct

from trader.domain.account import AccountView
from trader.domain.decisions import Rule
from trader.domain.units import MINUTE_NS
from trader.errors import InvariantError
from trader.risk.limits import RiskLimits
from trader.risk.rules import RULE_BITS

NEVER_NS = 1 << 63

RESETTABLE = frozenset({Rule.CONSECUTIVE_LOSSES, Rule.LOW_WIN_RATE, Rule.DRAWDOWN_PROXIMITY, Rule.TRAILING_BREACH})
"""Rules that `reset RULE` ends; the others end by themselves or follow from the account, the clock or a switch."""

_STREAK = RULE_BITS[Rule.CONSECUTIVE_LOSSES]
_WIN_RATE = RULE_BITS[Rule.LOW_WIN_RATE]
_PROXIMITY = RULE_BITS[Rule.DRAWDOWN_PROXIMITY]
_BREACH = RULE_BITS[Rule.TRAILING_BREACH]
_DAILY = RULE_BITS[Rule.DAILY_LOSS]


class Proximity(StrEnum):
    """How near the threshold is: watched, too near, or too near with the operator's leave until it recovers."""

    ARMED = "armed"
    FIRED = "fired"
    WAIVED = "waived"


class CountersState(Struct, frozen=True, kw_only=True):
    """What survives a restart. `outcomes` are 1, -1 or 0 (exactly nothing after costs), newest last."""

    streak: int
    outcomes: tuple[int, ...]
    streak_fired_ns: int | None
    win_rate_fired_ns: int | None
    session_open_ns: int
    proximity: Proximity
    breached: bool
    daily_loss: bool


FRESH = CountersState(
    streak=0,
    outcomes=(),
    streak_fired_ns=None,
    win_rate_fired_ns=None,
    session_open_ns=0,
    proximity=Proximity.ARMED,
    breached=False,
    daily_loss=False,
)


class Counters:
    """Fed by what happens; `observe` says which of the five rules are in force."""

    def __init__(self, limits: RiskLimits, state: CountersState = FRESH) -> None:
        self._max_losses = limits.max_consecutive_losses
        self._min_win_rate = limits.min_win_rate_threshold
        self._buffer_cents = round(limits.dd_buffer_threshold * limits.trailing_limit_cents, 6)
        self._daily_limit_cents = limits.daily_limit_cents
        self._reset_ns = limits.veto_reset_minutes * MINUTE_NS
        self._streak = state.streak
        self._outcomes = deque(state.outcomes, maxlen=limits.win_rate_window)
        self._streak_fired_ns = state.streak_fired_ns
        self._win_rate_fired_ns = state.win_rate_fired_ns
        self._session_open_ns = state.session_open_ns
        self._proximity = state.proximity
        self._latched = state.breached * _BREACH | state.daily_loss * _DAILY
        self._bits = 0
        self._seen: AccountView | None = None
        self._next_reset_ns = NEVER_NS
        self._refresh()

    @property
    def bits(self) -> int:
        """The rules of this module in force, as last observed."""
        return self._bits

    def observe(self, account: AccountView, ts_ns: int) -> int:
        """The rules of this module in force at `ts_ns`, as bits. To be called at each bar, after its fills are booked.

        InvariantError where equity is not a whole number of cents: nothing may be traded on it.
        """
        if account is self._seen and ts_ns < self._next_reset_ns:
            return self._bits  # an unchanged account fires nothing new, and bars without a position are most bars
        self._seen = account
        equity_cents = account.equity_cents
        if type(equity_cents) is not int:
            msg = f"equity is {equity_cents!r}, not a whole number of cents: trading must stop"
            raise InvariantError(msg)
        if ts_ns >= self._next_reset_ns:
            self._clear_fired(ts_ns - self._reset_ns)
        is_near = equity_cents - account.threshold_cents < self._buffer_cents
        if is_near or self._proximity is not Proximity.ARMED:
            self._follow(is_near=is_near)
        if equity_cents - account.session_open_cents <= -self._daily_limit_cents:
            self._latch(_DAILY)
        if account.breached:
            self._latch(_BREACH)
        return self._bits

    def on_trade_closed(self, pnl_cents: int, ts_ns: int) -> None:
        """A round trip has ended with this result net of costs. Exactly 0 is neither win nor loss."""
        outcome = (pnl_cents > 0) - (pnl_cents < 0)
        self._outcomes.append(outcome)
        if outcome:
            self._streak = self._streak + 1 if outcome < 0 else 0
        self._streak_fired_ns = _fired_since(self._streak_fired_ns, ts_ns, fires=self._streak >= self._max_losses)
        self._win_rate_fired_ns = _fired_since(
            self._win_rate_fired_ns, ts_ns, fires=self._min_win_rate > _win_rate(self._outcomes)
        )
        # A forced close is booked when the next session's first bar shows it, after that session's open.
        self._clear_fired(self._session_open_ns - 1)

    def on_session_open(self, ts_ns: int) -> None:
        """A session begins: what fired before it ends."""
        self._session_open_ns = ts_ns
        self._latched &= ~_DAILY
        self._clear_fired(ts_ns - 1)

    def on_reset(self, rule: Rule) -> None:
        """The operator ends a rule of RESETTABLE; InvariantError for any other.

        Nearness to the threshold is waived until equity has recovered, or it would fire again at once. A breach fires
        again at the next bar unless the book's threshold is lowered with it.
        """
        match rule:
            case Rule.CONSECUTIVE_LOSSES:
                self._streak, self._streak_fired_ns = 0, None
            case Rule.LOW_WIN_RATE:
                self._outcomes.clear()
                self._win_rate_fired_ns = None
            case Rule.DRAWDOWN_PROXIMITY:
                self._proximity = Proximity.WAIVED
            case Rule.TRAILING_BREACH:
                self._latched &= ~_BREACH
            case _:
                msg = f"{rule} cannot be reset: it ends by itself"
                raise InvariantError(msg)
        self._refresh()

    def on_account_renewed(self) -> None:
        """A new account begins at its start balance; streak and win rate run on."""
        self._proximity = Proximity.ARMED
        self._latched = 0
        self._refresh()

    def state(self) -> CountersState:
        """What a restart needs."""
        return CountersState(
            streak=self._streak,
            outcomes=tuple(self._outcomes),
            streak_fired_ns=self._streak_fired_ns,
            win_rate_fired_ns=self._win_rate_fired_ns,
            session_open_ns=self._session_open_ns,
            proximity=self._proximity,
            breached=bool(self._latched & _BREACH),
            daily_loss=bool(self._latched & _DAILY),
        )

    def _clear_fired(self, until_ns: int) -> None:
        """Clear the counters of the rules that fired at or before `until_ns`."""
        if self._streak_fired_ns is not None and self._streak_fired_ns <= until_ns:
            self._streak, self._streak_fired_ns = 0, None
        if self._win_rate_fired_ns is not None and self._win_rate_fired_ns <= until_ns:
            self._outcomes.clear()
            self._win_rate_fired_ns = None
        self._refresh()

    def _follow(self, *, is_near: bool) -> None:
        match self._proximity:
            case Proximity.ARMED if is_near:
                self._proximity = Proximity.FIRED
                self._refresh()
            case Proximity.WAIVED if not is_near:
                self._proximity = Proximity.ARMED
            case _:
                pass

    def _latch(self, bit: int) -> None:
        self._latched |= bit
        self._bits |= bit

    def _refresh(self) -> None:
        self._seen = None
        bits = self._latched
        fired = [ts_ns for ts_ns in (self._streak_fired_ns, self._win_rate_fired_ns) if ts_ns is not None]
        if self._streak_fired_ns is not None:
            bits |= _STREAK
        if self._win_rate_fired_ns is not None:
            bits |= _WIN_RATE
        if self._proximity is Proximity.FIRED:
            bits |= _PROXIMITY
        self._bits = bits
        self._next_reset_ns = min(fired) + self._reset_ns if fired else NEVER_NS


def _win_rate(outcomes: deque[int]) -> float:
    """Of the trades that were won or lost; 1 while the window is not full."""
    wins, losses = outcomes.count(1), outcomes.count(-1)
    if len(outcomes) != outcomes.maxlen or not wins + losses:
        return 1.0
    return wins / (wins + losses)


def _fired_since(before_ns: int | None, ts_ns: int, *, fires: bool) -> int | None:
    if not fires:
        return None
    return ts_ns if before_ns is None else before_ns
