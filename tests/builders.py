"""Valid records for tests to vary: `an_account(position_qty=1)`, `a_question(rsi=70.0)`."""

from typing import Any

from msgspec.structs import replace

from trader.advisor.gate import GateRules
from trader.advisor.question import Question
from trader.book import TermsOfTrade
from trader.domain.account import AccountView
from trader.domain.bars import Bar
from trader.kernels.book import INTRADAY
from trader.risk.limits import OrderLimits
from trader.risk.margin import MarginRule

MINUTE_NS = 60_000_000_000
OPEN_NS = 1_678_831_200_000_000_000  # 2023-03-14 18:00 in New York

_ACCOUNT = AccountView(
    position_qty=0,
    entry_ticks=0,
    stop_ticks=0,
    target_ticks=0,
    trailing=False,
    working=False,
    bars_held=0,
    initial_risk_cents=0,
    mae_ticks=0,
    mfe_ticks=0,
    balance_cents=5_000_000,
    equity_cents=5_000_000,
    peak_cents=5_000_000,
    threshold_cents=4_750_000,
    session_open_cents=5_000_000,
    adverse_cents=5_000_000,
    breached=False,
    realized_cents=0,
    trades_closed=0,
    trades_in_session=0,
    streak=0,
    win_rate=0.5,
    last_stop_ts_ns=0,
    account_no=1,
)

_QUESTION = Question(
    seq=100,
    ts_close_ns=OPEN_NS + 960 * MINUTE_NS,
    session_open_ns=OPEN_NS,
    market="NQ",
    symbol="NQM23",
    market_name="E-mini Nasdaq-100",
    time_et="2023-03-15 10:00",
    price=12_000.0,
    atr=10.0,
    adx=18.0,
    rsi=50.0,
    vwap=12_000.0,
    vwap_distance=0.0,
    momentum=0.0,
    regime=0,
    mask=0b000111,
    position_qty=0,
    entry_price=None,
    stop_price=None,
    trailing=False,
    unrealized_cents=0,
    initial_risk_cents=0,
    win_rate=0.5,
    streak=0,
    balance_cents=5_000_000,
    trades_closed=0,
)


def an_account(**changes: Any) -> AccountView:
    """A flat account of 50,000 $ with its trailing threshold at 47,500 $."""
    return replace(_ACCOUNT, **changes)


def a_question(**changes: Any) -> Question:
    """A flat account in a market without direction, at 10:00 in New York."""
    return replace(_QUESTION, **changes)


def a_bar(minute: int = 0, close: float = 12_000.0, symbol: str = "NQM23") -> Bar:
    """A one-minute bar that opens `minute` minutes into the session and does not move."""
    open_ns = OPEN_NS + minute * MINUTE_NS
    return Bar(open_ns, open_ns + MINUTE_NS, symbol, close, close, close, close, 100)


def some_terms(**changes: Any) -> TermsOfTrade:
    """NQ's commission and slippage, and the limits of the paper profile; `changes` replace single fields."""
    return replace(_TERMS, **changes)


_TERMS = TermsOfTrade(
    commission_side_cents=225,
    slippage_ticks=1,
    forced_slippage_ticks=2,
    target_through_ticks=1,
    min_stop_ticks=20,
    min_stop_gap_ticks=2,
    start_balance_cents=5_000_000,
    trailing_limit_cents=250_000,
    trailing_kind=INTRADAY,
    freeze_at_cents=0,
    stop_atr=1.5,
    target_multiple=3.0,
    trail_atr=1.0,
)


ORDER_LIMITS = OrderLimits(
    max_order_qty=1,
    max_position_qty=1,
    collar_share=0.005,
    orders_per_minute=20,
    price_age_s=10.0,
    max_trades_per_session=20,
    daily_limit_cents=100_000,
    margin=MarginRule.NOT_ASKED,
    initial_margin_share=0.5,
)
"""Those of `config/paper.yaml`."""

ASK_RULES = GateRules(
    is_enabled=True,
    is_selective=True,
    confidence_threshold=0.7,
    query_interval_bars=5,
    query_cooldown_bars=3,
    on_low_confidence=True,
    on_entry=True,
    on_interval=True,
    on_state_change=True,
)
"""When an advisor is asked, as `config` says."""
