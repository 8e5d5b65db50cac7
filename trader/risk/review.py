"""The review: decision and account in, Approved or Vetoed out. The only place that builds an Approved.

The account is the one of after the await, and `context.mask` is computed again from it.
"""

from msgspec import Struct

from trader.domain.account import AccountView
from trader.domain.actions import ACTIONS, Action
from trader.domain.bars import Bar
from trader.domain.decisions import Decision, Rule
from trader.domain.orders import ExitReason
from trader.domain.units import MINUTE_NS
from trader.kernels import rules as k
from trader.risk.limits import RiskLimits, limit_row, min_stop_for_cost_ticks
from trader.risk.rules import rules_in

_HOLD, _BUY, _SELL = Action.HOLD, Action.BUY, Action.SELL


class RiskContext(Struct, frozen=True, gc=False):
    """What the review needs beside decision and account, at the close of `bar`; distances and close in ticks.

    `standing` are the bits of the rules that others judge: those of `Counters.observe`, and the switches (session
    window, stale data, not reconciled, kill switch).
    """

    bar: Bar
    mask: int
    standing: int
    close_ticks: int
    atr_ticks: float
    stop_distance_ticks: int
    target_distance_ticks: int


class Approved(Struct, frozen=True):
    """An intent that may be carried out. `order_ref` is the decision's id; the distances count for BUY and SELL."""

    action: Action
    order_ref: str
    qty: int
    close_ticks: int
    atr_ticks: float
    stop_distance_ticks: int
    target_distance_ticks: int


class Vetoed(Struct, frozen=True):
    """A decision that is not carried out, with every rule that blocks it, in the order of `Rule`."""

    action: Action
    rules: tuple[Rule, ...]


Verdict = Approved | Vetoed

APPROVED_HOLD = Approved(_HOLD, "", 0, 0, 0.0, 0, 0)
"""The verdict on every HOLD: nothing to carry out."""


class Reviewer:
    """The limits, prepared. Holds no state: the same arguments give the same verdict."""

    def __init__(self, limits: RiskLimits, cost_cents: int, tick_value_cents: int) -> None:
        """`cost_cents` is one contract's round trip: both commissions, slippage of entry and exit."""
        min_stop_ticks = min_stop_for_cost_ticks(cost_cents, limits.max_cost_share, tick_value_cents)
        self.limits = limit_row(limits, min_stop_ticks=min_stop_ticks)
        self._qty = limits.qty
        self.in_use = int(self.limits[k.IN_USE])
        self._flattening = int(self.limits[k.FLATTENING])
        self._blocking = tuple(int(self.limits[k.BLOCKING + action]) for action in ACTIONS)

    def active_rules(self, account: AccountView, standing: int, stop_distance_ticks: int, ts_ns: int) -> int:
        """The rules in force at this bar, whatever was decided, as bits; INVALID_NOW belongs to a decision.

        `standing` are the bits that others judge; the distance is that of an entry decided here.
        """
        since_stop_ns = ts_ns - account.last_stop_ts_ns
        bits: int = k.of_the_moment(self.limits, account.trades_in_session, since_stop_ns, stop_distance_ticks)
        return bits | standing & self.in_use

    def review(self, decision: Decision, account: AccountView, context: RiskContext) -> Verdict:
        """Approve the decision, or name every rule that blocks it."""
        action = decision.action
        if action is _HOLD:
            return APPROVED_HOLD
        active = self.active_rules(account, context.standing, context.stop_distance_ticks, context.bar.ts_close_ns)
        vetoes = active & self._blocking[action]
        if not context.mask >> action & 1 or _is_second_entry(action, account):
            vetoes |= k.INVALID_NOW
        if vetoes:
            return Vetoed(action, rules_in(vetoes))
        return Approved(
            action,
            order_ref(context.bar),
            self._qty,
            context.close_ticks,
            context.atr_ticks,
            context.stop_distance_ticks,
            context.target_distance_ticks,
        )

    def must_flatten(self, account: AccountView, active: int) -> ExitReason | None:
        """Why the open position has to be closed now, given the rules in force; None when it may stay."""
        if not active & self._flattening or account.position_qty == 0:
            return None
        return ExitReason.TRAILING_BREACH if active & k.TRAILING_BREACH else ExitReason.DAILY_LOSS


def order_ref(bar: Bar) -> str:
    """A decision's id: contract and closing minute of its bar, unique for a contract and known before sending."""
    return f"{bar.symbol}-{bar.ts_close_ns // MINUTE_NS}"


def _is_second_entry(action: Action, account: AccountView) -> bool:
    return (action is _BUY or action is _SELL) and (account.position_qty != 0 or account.working)
