"""Counts while a run goes on what its report says afterwards. The engine feeds it, or `analysis.recount` from a log.

Called once a bar on the hot path: `Tally.bar` costs a quarter of a microsecond and keeps no bar.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from trader.analysis import metrics
from trader.analysis.figures import (
    DecisionFigures,
    Label,
    Report,
    ResultFigures,
    RunFacts,
    RunFigures,
    labels_of,
)
from trader.analysis.trades import TradeSums
from trader.domain.actions import ACTIONS
from trader.domain.decisions import AdviceStatus, FusionMethod, Rule
from trader.domain.instruments import Instrument
from trader.domain.orders import ClosedTrade, ExitReason, Fill
from trader.errors import InvariantError

_USABLE = (AdviceStatus.USED, AdviceStatus.CACHED)


class Tally:
    """Running sums of one run that begins flat. Of a bar its fills and trades come first, then `bar`.

    Money is integer cents. Equity is the run's own: P&L runs on when a new account begins; its zero does not matter.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._bars: defaultdict[tuple[int, FusionMethod, int, bool], int] = defaultdict(int)
        self._trades = TradeSums()
        self._vetoes: Counter[Rule] = Counter()
        self._advice: Counter[AdviceStatus] = Counter()
        self._late_answers = 0
        self._fills = 0
        self._is_whole = True
        self._commission_cents = 0
        self._slipped_qty = 0
        self._forced_qty = 0
        self._first_session = ""
        self._session = ""
        self._session_pnl_cents: list[int] = []
        self._start_cents = 0
        self._session_start_cents = 0
        self._equity_cents = 0
        self._peak_cents = 0
        self._drawdown_cents = 0
        self._close_ns = 0

    def bar(  # noqa: PLR0913, PLR0917 -- on the hot path: a record argument costs more than the counting
        self,
        session_date: str,
        close_ns: int,
        action_index: int,
        method: FusionMethod,
        active_bits: int,
        in_window: bool,  # noqa: FBT001 -- as above, a keyword costs too
        equity_cents_running: int,
    ) -> None:
        """Count a bar: what was decided, the rules in force (bit i for the i-th `Rule`), equity at its close."""
        if session_date != self._session:
            self._turn(session_date, equity_cents_running)
        self._bars[action_index, method, active_bits, in_window] += 1
        self._close_ns = close_ns
        if equity_cents_running != self._equity_cents:
            self._mark(equity_cents_running)

    def goes_on(self) -> None:
        """An account that outlives runs: a trade may have begun in an earlier one, or by somebody else's hand."""
        self._is_whole = False

    def veto(self, rules: Iterable[Rule]) -> None:
        """Count a decision that these rules blocked."""
        self._vetoes.update(rules)

    def asked(self, status: AdviceStatus, *, is_late: bool = False) -> None:
        """Count what became of a question; `is_late` for the answer to an earlier one, on a bar that was not asked."""
        self._advice[status] += 1
        self._late_answers += is_late

    def fill(self, fill: Fill) -> None:
        """Count an execution's costs. A target is a resting limit order; all others slip."""
        self._fills += 1
        self._commission_cents += fill.commission_cents
        if fill.reason is ExitReason.FORCED_CLOSE:
            self._forced_qty += fill.qty
        elif fill.reason is not ExitReason.TARGET:
            self._slipped_qty += fill.qty

    def trade(self, trade: ClosedTrade) -> None:
        """Count a round trip, after its fills.

        One that ended no later than the last counted bar (a session's forced close, seen at the next one's first bar)
        belongs to that bar: its equity is then what has been realised, as the position is flat.
        """
        self._trades.add(trade)
        if self._session and trade.closed_ns <= self._close_ns:
            self._mark(self._start_cents + self._trades.pnl_cents)

    def report(
        self,
        facts: RunFacts,
        *,
        accounts_used: int,
        skipped_bars: int | None = None,
        bars_per_s: float | None = None,
        is_closed: bool = True,
    ) -> Report:
        """The figures so far; the tally may go on. InvariantError where trades were counted without their fills, unless
        the run has gone on from another."""
        if self._is_whole and self._fills < 2 * self._trades.count:
            msg = f"{self._trades.count} trades were counted with {self._fills} fills: commissions would be wrong"
            raise InvariantError(msg)
        first, last = (self._first_session, self._session) if self._session else (None, None)
        labels = labels_of(facts, first, last)
        if self._advice[AdviceStatus.MISSING]:
            labels = (*labels, Label.MISSING_ADVICE)
        if self._advice[AdviceStatus.ERROR]:
            labels = (*labels, Label.FAILED_ADVICE)
        run = RunFigures(
            market=facts.market,
            strategy=facts.strategy,
            source=facts.source,
            model=None if facts.model is None else facts.model.name,
            labels=labels if is_closed else (*labels, Label.NOT_CLOSED),
            mismatches=facts.mismatches,
            accounts_used=accounts_used,
            first_session=first,
            last_session=last,
            sessions=len(self._sessions_pnl_cents()),
            bars=sum(self._bars.values()),
            window_bars=self._window_bars(),
            skipped_bars=skipped_bars,
            bars_per_s=bars_per_s,
        )
        return Report(run=run, result=self._result(facts), trades=self._trades.figures(), decisions=self._decisions())

    def _result(self, facts: RunFacts) -> ResultFigures:
        trades, market = self._trades, self._instrument
        point_cents = market.tick_value_cents * market.ticks_per_point
        return ResultFigures(
            net_pnl_usd=trades.pnl_cents / 100,
            net_pnl_points=trades.pnl_cents / point_cents,
            net_pnl_r=trades.net_r,
            captured_points=market.to_points(trades.captured_ticks),
            open_pnl_usd=(self._equity_cents - self._start_cents - trades.pnl_cents) / 100,
            pessimistic_pnl_usd=trades.pnl_cents / 100,
            optimistic_pnl_usd=trades.optimistic_pnl_cents / 100,
            ambiguous_bars=trades.ambiguous,
            max_drawdown_usd=self._drawdown_cents / 100,
            sharpe_daily_annualised=metrics.sharpe_daily(self._sessions_pnl_cents()),
            commissions_usd=self._commission_cents / 100,
            slippage_usd=self._slippage_usd(facts),
        )

    def _decisions(self) -> DecisionFigures:
        actions = [0] * len(ACTIONS)
        methods: Counter[FusionMethod] = Counter()
        ruled: Counter[Rule] = Counter()
        for (action_index, method, active_bits, in_window), count in self._bars.items():
            actions[action_index] += count
            methods[method] += count
            if in_window:
                ruled.update({rule: count for bit, rule in enumerate(Rule) if active_bits >> bit & 1})
        return DecisionFigures(
            actions={action.name: actions[action] for action in ACTIONS},
            methods={method.value: methods[method] for method in FusionMethod},
            vetoes={rule.value: self._vetoes[rule] for rule in Rule},
            veto_window_share_pct={rule.value: metrics.share_pct(ruled[rule], self._window_bars()) for rule in Rule},
            advice_asked=self._advice.total() - self._late_answers,
            advice_used=sum(self._advice[status] for status in _USABLE),
            advice={status.value: self._advice[status] for status in AdviceStatus},
        )

    def _window_bars(self) -> int:
        return sum(count for (_, _, _, in_window), count in self._bars.items() if in_window)

    def _turn(self, session_date: str, equity_cents: int) -> None:
        if self._session:
            self._session_pnl_cents.append(self._equity_cents - self._session_start_cents)
            self._session_start_cents = self._equity_cents
        else:
            self._first_session = session_date
            self._start_cents = self._session_start_cents = self._equity_cents = self._peak_cents = equity_cents
        self._session = session_date

    def _mark(self, equity_cents: int) -> None:
        self._equity_cents = equity_cents
        if equity_cents > self._peak_cents:
            self._peak_cents = equity_cents
        elif self._peak_cents - equity_cents > self._drawdown_cents:
            self._drawdown_cents = self._peak_cents - equity_cents

    def _sessions_pnl_cents(self) -> list[int]:
        running = [self._equity_cents - self._session_start_cents] if self._session else []
        return self._session_pnl_cents + running

    def _slippage_usd(self, facts: RunFacts) -> float | None:
        if facts.slippage_ticks is None or facts.forced_slippage_ticks is None:
            return None
        ticks = self._slipped_qty * facts.slippage_ticks + self._forced_qty * facts.forced_slippage_ticks
        return ticks * self._instrument.tick_value_cents / 100
