"""Looks at the account's two last limits between bars: a position that breaks one is closed without waiting for a bar.

It may only close and halt. What it does is an event in the log, with the price, so that a replay can do the same.
"""

from msgspec.structs import replace

from trader.engine import Engine
from trader.kernels import rules as k


class QuoteWatch:
    """One engine's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def on_price(self, price_ticks: int, ts_ns: int) -> bool:
        """The last price, ticks; whether it has closed the position."""
        parts = self._engine.parts
        view = parts.book.view()
        if not view.position_qty or parts.router.closing:
            return False
        equity_cents = parts.book.equity_at_cents(price_ticks)
        daily_limit_cents = int(parts.reviewer.limits[k.DAILY_LIMIT])
        is_breach = equity_cents <= view.threshold_cents
        if not is_breach and equity_cents - view.session_open_cents > -daily_limit_cents:
            return False
        seen = replace(view, equity_cents=equity_cents, breached=view.breached or is_breach)
        before = parts.counters.bits
        bits = parts.counters.observe(seen, ts_ns) & parts.reviewer.in_use
        limits = bits & ~before & (k.TRAILING_BREACH | k.DAILY_LOSS)
        if limits:
            self._engine.limit_hit(limits, price_ticks)
        reason = parts.reviewer.must_flatten(seen, bits)
        if reason is None:
            return False
        parts.router.flatten(reason)
        parts.router.release()
        return True
