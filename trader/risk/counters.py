"""The rules that remember: losing streak, win rate, daily loss, nearness to the trailing threshold, its breach.

They have counters of their own, apart from the account's, because a veto's reset clears the counter of its rule only.
The counting is `trader.kernels.rules`', which training calls as well.
How each rule ends (spec decision.md): the first two at the first session open after they fired or some minutes later,
daily loss at the next session open, the last two by the operator or with a new account.
"""

from enum import StrEnum

import numpy as np
from msgspec import Struct

from trader.domain.account import AccountView
from trader.domain.decisions import Rule
from trader.errors import InvariantError
from trader.kernels import rules as k
from trader.risk.limits import RiskLimits, limit_row

RESETTABLE = frozenset({Rule.CONSECUTIVE_LOSSES, Rule.LOW_WIN_RATE, Rule.DRAWDOWN_PROXIMITY, Rule.TRAILING_BREACH})
"""Rules that `reset RULE` ends; the others end by themselves or follow from the account, the clock or a switch."""


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

_PROXIMITIES = {Proximity.ARMED: k.ARMED, Proximity.FIRED: k.FIRED, Proximity.WAIVED: k.WAIVED}


class Counters:
    """Fed by what happens; `observe` says which of the five rules are in force."""

    def __init__(self, limits: RiskLimits, state: CountersState = FRESH) -> None:
        self._limits = limit_row(limits, min_stop_ticks=0)
        self._memory = _memory_of(state, limits.win_rate_window)
        self._seen: AccountView | None = None
        self._bits = 0
        self._next_reset_ns = 0
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
        equity_cents = account.equity_cents
        if type(equity_cents) is not int:
            msg = f"equity is {equity_cents!r}, not a whole number of cents: trading must stop"
            raise InvariantError(msg)
        self._bits = int(
            k.observe(
                self._memory,
                self._limits,
                equity_cents,
                account.threshold_cents,
                account.session_open_cents,
                account.breached,
                ts_ns,
            )
        )
        if ts_ns >= self._next_reset_ns:
            self._next_reset_ns = int(k.next_reset_ns(self._memory, self._limits))
        self._seen = account
        return self._bits

    def on_trade_closed(self, pnl_cents: int, ts_ns: int) -> None:
        """A round trip has ended with this result net of costs. Exactly 0 is neither win nor loss."""
        k.trade_closed(self._memory, self._limits, pnl_cents, ts_ns)
        self._refresh()

    def on_session_open(self, ts_ns: int) -> None:
        """A session begins: what fired before it ends."""
        k.session_opened(self._memory, ts_ns)
        self._refresh()

    def on_reset(self, rule: Rule) -> None:
        """The operator ends a rule of RESETTABLE; InvariantError for any other.

        Nearness to the threshold is waived until equity has recovered, or it would fire again at once. A breach fires
        again at the next bar unless the book's threshold is lowered with it.
        """
        memory = self._memory
        match rule:
            case Rule.CONSECUTIVE_LOSSES:
                memory[k.STREAK], memory[k.STREAK_FIRED_NS] = 0, k.NEVER_NS
            case Rule.LOW_WIN_RATE:
                k.forget_results(memory)
                memory[k.WIN_RATE_FIRED_NS] = k.NEVER_NS
            case Rule.DRAWDOWN_PROXIMITY:
                memory[k.PROXIMITY] = k.WAIVED
            case Rule.TRAILING_BREACH:
                memory[k.LATCHED] &= ~k.TRAILING_BREACH
            case _:
                msg = f"{rule} cannot be reset: it ends by itself"
                raise InvariantError(msg)
        self._refresh()

    def on_account_renewed(self) -> None:
        """A new account begins at its start balance; streak and win rate run on."""
        k.account_renewed(self._memory)
        self._refresh()

    def state(self) -> CountersState:
        """What a restart needs."""
        memory = self._memory.tolist()
        window = memory[k.WINDOW :]
        newest, results = memory[k.NEWEST], memory[k.RESULTS]
        return CountersState(
            streak=memory[k.STREAK],
            outcomes=tuple(window[(newest - back) % len(window)] for back in reversed(range(results))),
            streak_fired_ns=_or_none(memory[k.STREAK_FIRED_NS]),
            win_rate_fired_ns=_or_none(memory[k.WIN_RATE_FIRED_NS]),
            session_open_ns=memory[k.SESSION_OPEN_NS],
            proximity=next(name for name, number in _PROXIMITIES.items() if number == memory[k.PROXIMITY]),
            breached=bool(memory[k.LATCHED] & k.TRAILING_BREACH),
            daily_loss=bool(memory[k.LATCHED] & k.DAILY_LOSS),
        )

    def restore(self, state: CountersState) -> None:
        """Go on as the counters that had this state; the limits are those of now."""
        self._memory[:] = _memory_of(state, len(self._memory) - k.WINDOW)
        self._refresh()

    def _refresh(self) -> None:
        self._seen = None
        self._bits = int(k.bits(self._memory))
        self._next_reset_ns = int(k.next_reset_ns(self._memory, self._limits))


def _memory_of(state: CountersState, window: int) -> k.Memory:
    memory = np.zeros(k.WINDOW + window, dtype=np.int64)
    k.forget(memory)
    outcomes = state.outcomes[-window:]
    memory[k.WINDOW : k.WINDOW + len(outcomes)] = outcomes
    memory[k.RESULTS] = len(outcomes)
    memory[k.NEWEST] = max(len(outcomes) - 1, 0)
    memory[k.STREAK] = state.streak
    memory[k.STREAK_FIRED_NS] = k.NEVER_NS if state.streak_fired_ns is None else state.streak_fired_ns
    memory[k.WIN_RATE_FIRED_NS] = k.NEVER_NS if state.win_rate_fired_ns is None else state.win_rate_fired_ns
    memory[k.SESSION_OPEN_NS] = state.session_open_ns
    memory[k.PROXIMITY] = _PROXIMITIES[state.proximity]
    memory[k.LATCHED] = state.breached * k.TRAILING_BREACH | state.daily_loss * k.DAILY_LOSS
    return memory


def _or_none(ts_ns: int) -> int | None:
    return None if ts_ns == k.NEVER_NS else ts_ns
