"""What the account looks like between two fills: the only view that pipeline, fusion and risk are given."""

from msgspec import Struct


class AccountView(Struct, frozen=True, gc=False):
    """Position and equity by our own book, after the fills of bar `t` and marked at its close.

    `position_qty` is signed; the `_ticks` are absolute prices in ticks, 0 when flat. Money is integer cents. `working`
    says that an entry or a closing order is on its way. `drawdown_cents` is peak equity minus equity;
    `threshold_cents` is the trailing threshold after bar `t`; `breached` says that equity at the bar's adverse extreme
    (`adverse_cents`) was at or below the threshold from before the bar.
    `streak` counts losses in a row and `win_rate` the last ten closed trades (0.5 with none); vetoes do not reset them.
    `account_no` counts the accounts begun, from 1; `realized_cents` runs on over all of them.
    """

    position_qty: int
    entry_ticks: int
    stop_ticks: int
    target_ticks: int
    trailing: bool
    working: bool
    bars_held: int
    initial_risk_cents: int
    mae_ticks: int
    mfe_ticks: int
    balance_cents: int
    equity_cents: int
    peak_cents: int
    threshold_cents: int
    session_open_cents: int
    adverse_cents: int
    breached: bool
    realized_cents: int
    trades_closed: int
    trades_in_session: int
    streak: int
    win_rate: float
    last_stop_ts_ns: int
    account_no: int
