"""When a session may be traded: entry window and the time to be flat, from the session's own clock."""

from msgspec import Struct

from trader.domain.sessions import Session, et_ns
from trader.domain.units import MINUTE_NS


class Window(Struct, frozen=True, kw_only=True):
    """Wall-clock times of New York, `HH:MM`. `needs_rth` closes the window on a day without a cash market."""

    start: str
    end: str
    flat_at: str
    needs_rth: bool
    half_day_flat_minutes: int
    entry_end_before_flat_minutes: int


class SessionPlan(Struct, frozen=True, kw_only=True):
    """Entries are open for decisions at entry_start <= ts < entry_end; positions are closed at `flat_at_ns`."""

    entry_start_ns: int
    entry_end_ns: int
    flat_at_ns: int


def plan_session(session: Session, window: Window) -> SessionPlan:
    """Apply `window` to one session.

    A half day is flat `half_day_flat_minutes` before its own close. A day whose cash market stays closed has no entries
    in a window that needs it.
    """
    flat_at_ns = et_ns(session, window.flat_at)
    if session.is_half_day:
        flat_at_ns = min(flat_at_ns, session.close_ns - window.half_day_flat_minutes * MINUTE_NS)
    entry_start_ns = et_ns(session, window.start)
    entry_end_ns = min(et_ns(session, window.end), flat_at_ns - window.entry_end_before_flat_minutes * MINUTE_NS)
    if window.needs_rth and not session.rth_close_ns:
        entry_end_ns = entry_start_ns
    return SessionPlan(entry_start_ns=entry_start_ns, entry_end_ns=entry_end_ns, flat_at_ns=flat_at_ns)
