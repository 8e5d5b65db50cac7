"""Sessions, trades and their sums to put an evaluation together from; no market is behind them."""

import datetime

import numpy as np
from msgspec.structs import replace

from trader.analysis.evaluation_parts import DailyRow, Estimate, Statistics, TradeRow, VetoRow

MINUTE_NS = 60 * 10**9
ET_OFFSET_S = -5 * 3600
OPEN_NS = int(datetime.datetime(2021, 1, 4, 14, 30, tzinfo=datetime.UTC).timestamp()) * 10**9
DAY_NS = 1440 * MINUTE_NS
NOTHING = Estimate(value=None, low=None, high=None)


def session_dates(count: int) -> list[str]:
    """The first weekdays from 2021-01-04."""
    first = datetime.date(2021, 1, 4)
    days = (first + datetime.timedelta(days=day) for day in range(2 * count + 7))
    return [day.isoformat() for day in days if day.weekday() < 5][:count]


def open_ns(session: str) -> int:
    """09:30 of New York on that date, an hour behind in summer or not."""
    days = datetime.date.fromisoformat(session) - datetime.date(2021, 1, 4)
    return OPEN_NS + days.days * DAY_NS


def a_trade(number: int = 1, session: str = "2021-01-04", pnl_usd: float = 195.5, **changes: object) -> TradeRow:
    """A long of one NQ contract with 200 $ at risk, opened ten minutes after 09:30, unless changed."""
    opened_ns = open_ns(session) + (10 + 37 * (number % 9)) * MINUTE_NS
    trade = TradeRow(
        number=number,
        session=session,
        symbol="NQH21",
        side="long",
        qty=1,
        decided_ns=opened_ns,
        opened_ns=opened_ns,
        closed_ns=opened_ns + 30 * MINUTE_NS,
        et_offset_s=ET_OFFSET_S,
        entry=15000.25,
        exit=15000.25 + (pnl_usd + 4.5) / 20,
        stop=14990.25,
        target=15020.25,
        pnl_usd=pnl_usd,
        optimistic_usd=pnl_usd,
        commission_usd=4.5,
        risk_usd=200.0,
        r=pnl_usd / 200,
        mae_points=2.5,
        mfe_points=12.75,
        bars=30,
        reason="target",
        is_ambiguous=False,
        method="agreement",
        decider="both",
        rl_action="BUY",
        rl_confidence=0.62,
        advice_action="BUY",
        advice_confidence=0.71,
        changed=False,
        changed_management=0,
        account=1,
    )
    return replace(trade, **changes)


def a_veto(session: str = "2021-01-04", **changes: object) -> VetoRow:
    """A long that a daily limit of trades blocked, which would have lost 1 R, unless changed."""
    veto = VetoRow(
        session=session,
        decided_ns=open_ns(session) + 45 * MINUTE_NS,
        et_offset_s=ET_OFFSET_S,
        side="long",
        bars=3,
        price=15010.5,
        rules=("max_trades",),
        method="rl_only",
        rl_confidence=0.58,
        advice_confidence=None,
        would_be_usd=-204.5,
        would_be_r=-1.02,
    )
    return replace(veto, **changes)


def some_trades(dates: list[str], seed: int) -> tuple[TradeRow, ...]:
    """Two trades a session with random results between about -1 and +2 R."""
    rng = np.random.default_rng(seed)
    trades = []
    for session in dates:
        for _ in range(2):
            pnl = float(np.round(rng.choice([-204.5, 395.5, rng.normal(0, 120)], p=[0.5, 0.25, 0.25]) * 4) / 4)
            side = "long" if rng.random() < 0.6 else "short"
            away = 10.0 if side == "long" else -10.0
            entry = 15000.0 + round(float(rng.normal(0, 300)) * 4) / 4
            direction = 1 if side == "long" else -1
            trades.append(
                a_trade(
                    len(trades) + 1,
                    session,
                    pnl,
                    side=side,
                    entry=entry,
                    exit=entry + direction * (pnl + 4.5) / 20,
                    stop=entry - away,
                    target=entry + 2 * away,
                    mae_points=float(abs(rng.normal(4, 3))),
                    mfe_points=float(abs(rng.normal(8, 6))),
                    reason="stop" if pnl < 0 else "target",
                    method=str(rng.choice(["agreement", "rl_only", "weighted", "llm_override", "rl_override"])),
                    decider=str(rng.choice(["both", "strategy", "advisor"])),
                    rl_confidence=float(rng.uniform(0.4, 0.9)),
                    changed=bool(rng.random() < 0.2),
                )
            )
    return tuple(trades)


def daily_of(trades: tuple[TradeRow, ...], dates: list[str]) -> tuple[DailyRow, ...]:
    """The sessions' sums of those trades."""
    rows: list[DailyRow] = []
    equity = 0.0
    for session in dates:
        own = [trade for trade in trades if trade.session == session]
        pnl = sum(trade.pnl_usd for trade in own)
        equity += pnl
        rows.append(
            DailyRow(
                session=session,
                trades=len(own),
                pnl_usd=pnl,
                pnl_r=pnl / 200,
                costs_usd=9.5 * len(own),
                equity_usd=equity,
                low_usd=equity - 100.0,
            )
        )
    return tuple(rows)


def statistics_of(trades: tuple[TradeRow, ...], daily: tuple[DailyRow, ...]) -> Statistics:
    """Figures that fit roughly: the page shows what it is given."""
    total = sum(trade.pnl_usd for trade in trades)
    sessions = max(len(daily), 1)
    around = (abs(total) + 2000.0) / sessions
    has_trades = bool(trades)
    estimate = Estimate(value=total / sessions, low=total / sessions - around, high=total / sessions + around)
    return Statistics(
        sessions=len(daily),
        trades=len(trades),
        long_trades=sum(trade.side == "long" for trade in trades),
        short_trades=sum(trade.side == "short" for trade in trades),
        total_usd=Estimate(value=total, low=total - around * sessions, high=total + around * sessions),
        mean_usd=estimate,
        total_r=total / 200,
        mean_r=Estimate(value=total / 200 / sessions, low=-0.31, high=0.44),
        sharpe=Estimate(value=0.61, low=-0.92, high=2.03) if has_trades else NOTHING,
        sortino=Estimate(value=0.93, low=-1.21, high=3.35) if has_trades else NOTHING,
        calmar=0.44 if has_trades else None,
        max_drawdown_usd=2480.5 if has_trades else 0.0,
        drawdown_range_usd=Estimate(value=2480.5, low=1630.0, high=7210.25) if has_trades else NOTHING,
        drawdown_sessions=61 if has_trades else 0,
        drawdown_from=daily[0].session if has_trades else None,
        drawdown_trough=daily[len(daily) // 2].session if has_trades else None,
        drawdown_to=None,
        deepest_usd=2610.0 if has_trades else 0.0,
        profit_factor=Estimate(value=1.07, low=0.81, high=1.42) if has_trades else NOTHING,
        expectancy_r=Estimate(value=0.03, low=-0.12, high=0.18) if has_trades else NOTHING,
        win_rate_pct=38.5 if has_trades else None,
        average_win_usd=310.25 if has_trades else None,
        average_loss_usd=-188.0 if has_trades else None,
        best_session_usd=791.0 if has_trades else None,
        worst_session_usd=-409.0 if has_trades else None,
        time_in_market_pct=17.3 if has_trades else 0.0,
        average_hold_minutes=30.0 if has_trades else None,
        commissions_usd=4.5 * len(trades),
        slippage_usd=5.0 * len(trades),
        costs_usd=9.5 * len(trades),
        cost_share_pct=6.4 if has_trades else None,
        mae_r=0.41 if has_trades else None,
        mfe_r=0.77 if has_trades else None,
        optimistic_usd=total,
        ambiguous_bars=0,
    )
