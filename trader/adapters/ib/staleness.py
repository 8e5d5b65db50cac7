"""When silence of the feed means trouble, by the calendar. Pure: time is an argument."""

from trader.adapters.ib.slots import Slots


class Staleness:
    """Stale: the market trades, the link is up, and for a bar and `margin_ns` no update came, or no bar began.

    The clock begins anew at each open, after each halt and with each connection. All times in nanoseconds since 1970.
    """

    def __init__(self, slots: Slots, margin_ns: int) -> None:
        self._slots = slots
        self._patience_ns = slots.bar_ns + margin_ns
        self._heard_ns = 0
        self._next_ns = 0
        self._linked_ns: int | None = None

    def linked(self, now_ns: int | None) -> None:
        """The link is up since `now_ns`, or (None) it is not: silence is then the link's trouble."""
        self._linked_ns = now_ns

    def heard(self, now_ns: int) -> None:
        """An update came."""
        self._heard_ns = now_ns

    def began(self, ts_open_ns: int) -> None:
        """A bar has begun, so the next one is due when it closes."""
        self._next_ns = self._slots.next_open_ns(ts_open_ns + self._slots.bar_ns)

    def silence_ns(self, now_ns: int) -> int:
        """For how long something has been due; 0 in closed hours and while the link is down."""
        since_ns = self._since(now_ns)
        return 0 if since_ns is None else max(0, now_ns - max(since_ns, self._heard_ns))

    def is_stale(self, now_ns: int) -> bool:
        """Whether decisions must not be made on what has been heard."""
        since_ns = self._since(now_ns)
        if since_ns is None:
            return False
        is_silent = now_ns - max(since_ns, self._heard_ns) > self._patience_ns
        return is_silent or now_ns - max(since_ns, self._next_ns) > self._patience_ns

    def _since(self, now_ns: int) -> int | None:
        """Since when there could have been bars."""
        start_ns, _ = self._slots.trade(now_ns)
        if self._linked_ns is None or start_ns > now_ns:
            return None
        return max(start_ns, self._linked_ns)
