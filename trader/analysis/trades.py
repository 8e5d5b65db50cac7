"""Round trips, summed up."""

from collections import Counter

from trader.analysis.figures import TradeFigures
from trader.analysis.metrics import ratio, share_pct
from trader.domain.actions import Side
from trader.domain.orders import ClosedTrade, ExitReason
from trader.domain.units import MINUTE_NS


class TradeSums:
    """Running sums over closed trades, in cents and ticks. `risked` counts those whose initial risk is known."""

    def __init__(self) -> None:
        self.count = 0
        self.pnl_cents = 0
        self.optimistic_pnl_cents = 0
        self.captured_ticks = 0
        self.ambiguous = 0
        self.net_r = 0.0
        self.risked = 0
        self._won_cents = 0
        self._lost_cents = 0
        self._wins = 0
        self._losses = 0
        self._longs = 0
        self._held_ns = 0
        self._exits: Counter[ExitReason] = Counter()

    def add(self, trade: ClosedTrade) -> None:
        """Count one round trip."""
        pnl_cents = trade.pnl_cents
        self.count += 1
        self.pnl_cents += pnl_cents
        self.optimistic_pnl_cents += trade.optimistic_pnl_cents
        self.captured_ticks += trade.side * (trade.exit_ticks - trade.entry_ticks) * trade.qty
        self.ambiguous += trade.is_ambiguous
        if trade.risk_cents > 0:
            self.net_r += pnl_cents / trade.risk_cents
            self.risked += 1
        if pnl_cents > 0:
            self._won_cents += pnl_cents
            self._wins += 1
        elif pnl_cents < 0:
            self._lost_cents += pnl_cents
            self._losses += 1
        self._longs += trade.side is Side.BUY
        self._held_ns += trade.closed_ns - trade.opened_ns
        self._exits[trade.reason] += 1

    def figures(self) -> TradeFigures:
        """The sums as figures."""
        return TradeFigures(
            trades=self.count,
            long_trades=self._longs,
            short_trades=self.count - self._longs,
            wins=self._wins,
            losses=self._losses,
            scratches=self.count - self._wins - self._losses,
            win_rate_pct=share_pct(self._wins, self._wins + self._losses),
            profit_factor=ratio(self._won_cents, -self._lost_cents),
            average_win_usd=ratio(self._won_cents / 100, self._wins),
            average_loss_usd=ratio(self._lost_cents / 100, self._losses),
            expectancy_r=ratio(self.net_r, self.risked),
            average_hold_minutes=ratio(self._held_ns / MINUTE_NS, self.count),
            exits={reason.value: self._exits[reason] for reason in ExitReason},
        )
