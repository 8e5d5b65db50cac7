"""Our own book: position and account, changed by fills and marks only, read as an immutable view."""

import numpy as np
from msgspec import Struct

from trader.domain.account import AccountView
from trader.domain.instruments import Instrument
from trader.domain.orders import Fill
from trader.domain.units import MINUTE_NS
from trader.kernels import book as k


class TermsOfTrade(Struct, frozen=True, kw_only=True):
    """What a trade costs and how far its levels lie; prices in ticks, money in cents. No defaults: these are limits."""

    commission_side_cents: int
    slippage_ticks: int
    forced_slippage_ticks: int
    target_through_ticks: int
    min_stop_ticks: int
    min_stop_gap_ticks: int
    start_balance_cents: int
    trailing_limit_cents: int
    trailing_kind: int
    freeze_at_cents: int
    stop_atr: float
    target_multiple: float
    trail_atr: float

    def as_row(self, instrument: Instrument) -> k.Terms:
        """The float64 row that the kernels read."""
        row = np.zeros(k.TERMS_SIZE)
        row[k.TICK_VALUE] = instrument.tick_value_cents
        row[k.TICKS_PER_POINT] = instrument.ticks_per_point
        row[k.COMMISSION] = self.commission_side_cents
        row[k.SLIPPAGE] = self.slippage_ticks
        row[k.FORCED_SLIPPAGE] = self.forced_slippage_ticks
        row[k.TARGET_THROUGH] = self.target_through_ticks
        row[k.MIN_STOP] = self.min_stop_ticks
        row[k.MIN_GAP] = self.min_stop_gap_ticks
        row[k.BREAK_EVEN] = k.break_even_ticks(
            self.commission_side_cents, self.slippage_ticks, instrument.tick_value_cents
        )
        row[k.START_BALANCE] = self.start_balance_cents
        row[k.TRAILING_LIMIT] = self.trailing_limit_cents
        row[k.TRAILING_KIND] = self.trailing_kind
        row[k.FREEZE_AT] = self.freeze_at_cents
        row[k.STOP_ATR] = self.stop_atr
        row[k.TARGET_MULTIPLE] = self.target_multiple
        row[k.TRAIL_ATR] = self.trail_atr
        return row


class Book:
    """One account with one position. `row` and `terms` are the kernels' own arrays; everything else is a view."""

    def __init__(self, terms: k.Terms) -> None:
        self.terms = terms
        self._tick_value_cents = int(terms[k.TICK_VALUE])
        self.row = np.zeros(k.SIZE, dtype=np.int64)
        self.accounts_used = 1
        self._view: AccountView | None = None
        k.new_account(self.row, terms)

    @property
    def position_qty(self) -> int:
        """Signed contracts, 0 flat."""
        return int(self.row[k.QTY])

    @property
    def working(self) -> bool:
        """An entry or a closing order is on its way."""
        return bool(self.row[k.WORKING])

    def view(self) -> AccountView:
        """The account as it stands; the same object until something changes it."""
        view = self._view
        if view is None:
            view = self._view = _view_of(self.row, self._tick_value_cents, self.accounts_used)
        return view

    def equity_at_cents(self, price_ticks: int) -> int:
        """Equity if what is open were worth this price, before the costs of closing."""
        return int(self.row[k.CASH]) + self.position_qty * price_ticks * self._tick_value_cents

    def touch(self) -> None:
        """Say that a kernel has changed the row."""
        self._view = None

    def apply(self, fill: Fill) -> int:
        """Book one execution; the trade's net P&L in cents when it ended the position, else 0.

        One that goes through zero ends the position at its price, and opens another with what is left of it.
        """
        self._view = None
        side, position = int(fill.side), self.position_qty
        opening_qty = fill.qty - abs(position)
        if position * side >= 0 or opening_qty <= 0:
            return int(k.apply_fill(self.row, self.terms, side, fill.qty, fill.price_ticks, fill.commission_cents))
        opening_cents = fill.commission_cents * opening_qty // fill.qty
        closing_cents = fill.commission_cents - opening_cents
        pnl_cents = int(k.apply_fill(self.row, self.terms, side, abs(position), fill.price_ticks, closing_cents))
        k.apply_fill(self.row, self.terms, side, opening_qty, fill.price_ticks, opening_cents)
        return pnl_cents

    def adjust(self, cents: int) -> None:
        """Book a fee (negative: a rebate) that no fill has told; it belongs to the open trade, if there is one."""
        self._view = None
        self.row[k.CASH] -= cents
        self.row[k.EQUITY] -= cents
        if not self.row[k.QTY]:
            self.row[k.REALIZED] -= cents

    def set_bracket(self, stop_distance_ticks: int, target_distance_ticks: int) -> tuple[int, int]:
        """Anchor stop and target at the fill; returns both levels in ticks."""
        self._view = None
        k.set_bracket(self.row, self.terms, stop_distance_ticks, target_distance_ticks)
        return int(self.row[k.STOP]), int(self.row[k.TARGET])

    def rest_bracket(self, stop_ticks: int, target_ticks: int, stop_distance_ticks: int) -> None:
        """An entry is filled in part: the levels that its bracket was sent with protect what there is."""
        self._view = None
        k.set_bracket(self.row, self.terms, stop_distance_ticks, 0)
        self.row[k.STOP] = stop_ticks
        self.row[k.TARGET] = target_ticks

    def rest_levels(self, stop_ticks: int, target_ticks: int) -> None:
        """What rests behind the position, 0 where nothing does; a trade without a risk yet has the stop's."""
        self._view = None
        self.row[k.STOP] = stop_ticks
        self.row[k.TARGET] = target_ticks
        if stop_ticks and not self.row[k.RISK]:
            distance_ticks = abs(int(self.row[k.ENTRY]) - stop_ticks)
            self.row[k.RISK] = distance_ticks * self._tick_value_cents * abs(self.position_qty)

    def move_to_break_even(self) -> int:
        """Tighten the stop to the level that pays the costs; returns the stop in ticks."""
        self._view = None
        k.tighten(self.row, k.break_even_level(self.row, self.terms))
        return int(self.row[k.STOP])

    def set_trailing(self, *, on: bool) -> None:
        """Turn the trail on or off; the stop stays where it is."""
        self._view = None
        self.row[k.TRAILING] = on

    def trail(self, close_ticks: int, atr_ticks: float) -> int | None:
        """Pull a trailing stop behind a closed bar; the new stop in ticks, None where it did not move."""
        if not k.trail(self.row, self.terms, close_ticks, atr_ticks):
            return None
        self._view = None
        return int(self.row[k.STOP])

    def keep_behind(self, price_ticks: int, before_ticks: int) -> bool:
        """Whether the stop lies behind this price by the least gap; where not, it is put back to `before_ticks`."""
        side = 1 if self.position_qty > 0 else -1
        if side * (price_ticks - int(self.row[k.STOP])) >= int(self.terms[k.MIN_GAP]):
            return True
        self._view = None
        self.row[k.STOP] = before_ticks
        return False

    def set_working(self, *, on: bool) -> None:
        """An order that can change the position has gone out, or has ended."""
        self._view = None
        self.row[k.WORKING] = on

    def note_stop(self, ts_ns: int) -> None:
        """A stop has ended a position: the cooldown counts from here."""
        self._view = None
        self.row[k.LAST_STOP_MIN] = ts_ns // MINUTE_NS

    def begin_session(self) -> None:
        """Restart the counters that run by session."""
        self._view = None
        k.begin_session(self.row, self.terms)

    def renew(self) -> None:
        """Begin another account at the start balance; P&L and trade statistics run on."""
        self._view = None
        self.accounts_used += 1
        k.new_account(self.row, self.terms)


def _view_of(row: k.Row, tick_value_cents: int, account_no: int) -> AccountView:
    v = row.tolist()
    decided = v[k.WINS] + v[k.LOSSES]
    return AccountView(
        position_qty=v[k.QTY],
        entry_ticks=v[k.ENTRY],
        stop_ticks=v[k.STOP],
        target_ticks=v[k.TARGET],
        trailing=v[k.TRAILING] != 0,
        working=v[k.WORKING] != 0,
        bars_held=v[k.BARS_HELD],
        initial_risk_cents=v[k.RISK],
        mae_ticks=v[k.MAE],
        mfe_ticks=v[k.MFE],
        balance_cents=v[k.CASH] + v[k.COST] * tick_value_cents,
        equity_cents=v[k.EQUITY],
        peak_cents=v[k.PEAK],
        threshold_cents=v[k.THRESHOLD],
        session_open_cents=v[k.SESSION_OPEN],
        adverse_cents=v[k.ADVERSE],
        breached=v[k.BREACHED] != 0,
        realized_cents=v[k.REALIZED],
        trades_closed=v[k.TRADES],
        trades_in_session=v[k.SESSION_TRADES],
        streak=v[k.STREAK],
        win_rate=v[k.WINS] / decided if decided else 0.5,
        last_stop_ts_ns=v[k.LAST_STOP_MIN] * MINUTE_NS,
        account_no=account_no,
    )
