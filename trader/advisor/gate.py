"""Whether this bar's question leaves for the advisor: the rules of selective querying. Pure; imports the domain."""

from msgspec import Struct

from trader.domain.account import AccountView
from trader.domain.actions import Action
from trader.domain.decisions import NotAsked, Proposal, Trigger

# Bits of a trigger set, in the order of `Trigger`.
LOW_CONFIDENCE, ENTRY, INTERVAL, STATE_CHANGE = 1, 2, 4, 8
_TRIGGERS = tuple(Trigger)
TRIGGER_SETS: tuple[tuple[Trigger, ...], ...] = tuple(
    tuple(trigger for i, trigger in enumerate(_TRIGGERS) if bits >> i & 1) for bits in range(1 << len(_TRIGGERS))
)

# A state change is a balance that moved by more than 1/200 (0.5 %), or a win rate by 0.1 or more. Win rates are ratios
# of small integers: the tolerance lets 0.3 - 0.2 count as 0.1.
BALANCE_CHANGE_DIVISOR = 200
WIN_RATE_CHANGE = 0.1 - 1e-9

_ENTRIES = (Action.BUY, Action.SELL)
_NO_TRIGGER, _COOLDOWN = NotAsked.NO_TRIGGER, NotAsked.COOLDOWN


class GateRules(Struct, frozen=True, kw_only=True):
    """When to ask. `is_selective` False asks on every bar that may be asked: no trigger and no cooldown is waited for.

    `query_interval_bars` counts from the last answer, `query_cooldown_bars` are the bars after a question that stay
    silent. The last four turn single triggers off.
    """

    is_enabled: bool
    is_selective: bool
    confidence_threshold: float
    query_interval_bars: int
    query_cooldown_bars: int
    on_low_confidence: bool
    on_entry: bool
    on_interval: bool
    on_state_change: bool


class GateMemory(Struct, frozen=True, kw_only=True):
    """What a restart needs; `interval_due` and `silent_until` count the bars of the run that has ended."""

    interval_due: int
    silent_until: int
    position_changed: bool
    changed: int
    position_qty: int
    trades_closed: int
    balance_cents: int
    told_balance_cents: int
    told_win_rate: float


class Gate:
    """Decides bar by bar, and remembers the last question, the last answer and what the advisor knew of the account.

    A change of position stays pending until a question has left: bars whose only valid action is HOLD follow every
    entry. Trades opened and closed between two bars count as one.
    """

    def __init__(self, rules: GateRules, account: AccountView) -> None:
        self._is_enabled = rules.is_enabled
        self._is_selective = rules.is_selective
        self._threshold = rules.confidence_threshold
        self._interval_bars = rules.query_interval_bars
        self._cooldown_bars = rules.query_cooldown_bars
        self._wanted = (
            rules.on_low_confidence * LOW_CONFIDENCE
            | rules.on_entry * ENTRY
            | rules.on_interval * INTERVAL
            | rules.on_state_change * STATE_CHANGE
        )
        self._interval_due = 0
        self._silent_until = 0
        self._position_changed = False
        self._changed = 0
        self._asked_by_set = [0] * len(TRIGGER_SETS)
        self._position_qty = account.position_qty
        self._trades_closed = account.trades_closed
        self._balance_cents = account.balance_cents
        self._told_balance_cents = account.balance_cents
        self._told_win_rate = account.win_rate

    def decide(
        self, seq: int, mask: int, proposal: Proposal, account: AccountView, *, ready: bool, halted: bool
    ) -> int | NotAsked:
        """The triggers that send a question at bar `seq`, as bits (see TRIGGER_SETS), or why none is sent.

        To be called once a bar, also on bars that cannot be asked. Without selective querying the bits may be 0.
        """
        if (
            account.position_qty != self._position_qty
            or account.balance_cents != self._balance_cents
            or account.trades_closed != self._trades_closed
        ):
            self._note_change(account)
        if halted or not ready or not mask & (mask - 1) or not self._is_enabled:
            return self._why_silent(ready=ready, halted=halted)
        triggers = self._changed
        if proposal.confidence < self._threshold:
            triggers |= LOW_CONFIDENCE
        if seq >= self._interval_due:
            triggers |= INTERVAL
        if account.position_qty == 0 and proposal.action in _ENTRIES:
            triggers |= ENTRY
        triggers &= self._wanted
        if self._is_selective:
            if not triggers:
                return _NO_TRIGGER
            if seq < self._silent_until and not self._position_changed:
                return _COOLDOWN
        self._note_question(seq, triggers, account)
        return triggers

    def answered(self, seq: int) -> None:
        """An answer, fresh or cached, came at bar `seq`: the interval starts again."""
        self._interval_due = seq + self._interval_bars

    def memory(self) -> GateMemory:
        """What it remembers, counts of questions left out."""
        return GateMemory(
            interval_due=self._interval_due,
            silent_until=self._silent_until,
            position_changed=self._position_changed,
            changed=self._changed,
            position_qty=self._position_qty,
            trades_closed=self._trades_closed,
            balance_cents=self._balance_cents,
            told_balance_cents=self._told_balance_cents,
            told_win_rate=self._told_win_rate,
        )

    def restore(self, memory: GateMemory, bars: int) -> None:
        """Go on as the gate of a run that has ended after so many bars."""
        self._interval_due = memory.interval_due - bars
        self._silent_until = memory.silent_until - bars
        self._position_changed = memory.position_changed
        self._changed = memory.changed
        self._position_qty = memory.position_qty
        self._trades_closed = memory.trades_closed
        self._balance_cents = memory.balance_cents
        self._told_balance_cents = memory.told_balance_cents
        self._told_win_rate = memory.told_win_rate

    @property
    def asked(self) -> int:
        """Questions that have left, cache hits included."""
        return sum(self._asked_by_set)

    def asked_by_trigger(self) -> dict[Trigger, int]:
        """Questions by trigger; one question may have several."""
        return {
            trigger: sum(count for bits, count in enumerate(self._asked_by_set) if bits >> i & 1)
            for i, trigger in enumerate(_TRIGGERS)
        }

    def _why_silent(self, *, ready: bool, halted: bool) -> NotAsked:
        if not self._is_enabled:
            return NotAsked.OFF
        if halted:
            return NotAsked.HALTED
        return NotAsked.FORCED if ready else NotAsked.NOT_READY

    def _note_change(self, account: AccountView) -> None:
        traded = account.position_qty != self._position_qty or account.trades_closed != self._trades_closed
        self._position_changed |= traded and bool(self._wanted & STATE_CHANGE)
        self._position_qty = account.position_qty
        self._trades_closed = account.trades_closed
        self._balance_cents = account.balance_cents
        told = self._told_balance_cents
        if (
            self._position_changed
            or abs(account.balance_cents - told) * BALANCE_CHANGE_DIVISOR > abs(told)
            or abs(account.win_rate - self._told_win_rate) >= WIN_RATE_CHANGE
        ):
            self._changed = STATE_CHANGE
        else:
            self._changed = 0

    def _note_question(self, seq: int, triggers: int, account: AccountView) -> None:
        self._asked_by_set[triggers] += 1
        self._silent_until = seq + 1 + self._cooldown_bars
        self._position_changed = False
        self._changed = 0
        self._told_balance_cents = account.balance_cents
        self._told_win_rate = account.win_rate
