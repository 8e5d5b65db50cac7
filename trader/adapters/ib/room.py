"""What the parts of the IB broker share: terms, the link, what is held, the orders of each decision."""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from trader.adapters.ib.desk import Desk, Held, Track
from trader.adapters.ib.order_records import OrderRecords
from trader.adapters.ib.order_wire import OrderLink, OrderWire
from trader.adapters.ib.plan import ForeignPolicy
from trader.adapters.ib.sender import Sender, SenderTerms
from trader.adapters.state.records import Leg
from trader.domain.instruments import Instrument
from trader.domain.orders import Bracket
from trader.ports import BrokerWatcher


class BrokerTerms(Struct, frozen=True, kw_only=True):
    """Every figure of the broker. Seconds; 0 for a poll that is not made.

    An order that nothing is heard of in `ack_timeout_s` is in doubt: the broker is asked every `ask_every_s`, and after
    `unresolved_s` in all it is given up. A position without stops of its size for `naked_grace_s` is closed. With a
    position or an order the broker is asked every `order_poll_s`, without both every `position_poll_s`. A change of an
    order that was refused is tried `change_tries` times in all. After `close_tries` exits in a row that came to nothing
    the daemon protects only, and tries again ever more seldom, every `exit_pause_s` in the end. `commission_cents` is a
    side's, for one contract; `default_stop_ticks` how far a stop lies behind a position for which no level is known.
    """

    account: str
    market: Instrument
    sender: SenderTerms
    ack_timeout_s: float
    ask_every_s: float
    unresolved_s: float
    naked_grace_s: float
    position_poll_s: float
    order_poll_s: float
    change_tries: int
    close_tries: int
    exit_pause_s: float
    commission_cents: int
    default_stop_ticks: int
    policy: ForeignPolicy


DESKS_KEPT = 16


class ExitTries:
    """Counts the closes, and the stops laid behind a position, that came to nothing in a row.

    From `free` of them on each waits before the next may leave, twice as long as the one before.
    """

    def __init__(self, free: int, first_s: float, longest_s: float) -> None:
        self.count = 0
        self._free = free
        self._first_s = first_s
        self._longest_s = longest_s
        self._again_s = float("-inf")

    @property
    def are_spent(self) -> bool:
        """Too many."""
        return self.count >= self._free

    def failed(self, now_s: float) -> None:
        """One more."""
        self.count += 1
        if self.are_spent:
            self._again_s = now_s + min(self._longest_s, self._first_s * 2.0 ** min(self.count - self._free, 32))

    def worked(self) -> None:
        """Something was closed, or there is nothing to close: begin again."""
        self.count, self._again_s = 0, float("-inf")

    def must_wait(self, now_s: float) -> bool:
        """Whether it is too soon for the next one."""
        return now_s < self._again_s


class Room:
    """The shared part. `desk` is the decision at work, also after its position has ended; None before the first.

    `symbol` is the month that the position is of. `foreign_ref` is what the line calls a position that no entry of
    ours has opened, "" where one has. `others_qty` is what is left to others of the account's position; `told_qty` the
    account's as the broker has told it since it was last looked at, None where it has not, `answered_qty` the same
    since a question was begun. `taken` says why the account is another process's, so that nothing may be sent; None
    while it is not.
    """

    def __init__(self, link: OrderLink, terms: BrokerTerms, records: OrderRecords, watcher: BrokerWatcher) -> None:
        self.link = link
        self.terms = terms
        self.records = records
        self.watcher = watcher
        self.held = Held()
        self.others_qty = 0
        self.told_qty: int | None = None
        self.answered_qty: int | None = None
        self.desks: dict[str, Desk] = {}
        self.desk: Desk | None = None
        self.symbol = ""
        self.foreign_ref = ""
        self.exit_tries = ExitTries(terms.close_tries, terms.ask_every_s, terms.exit_pause_s)
        self.last_ticks: int | None = None
        self.may_enter = False
        self.is_applying = False
        self.is_broken = False
        self.asks: list[str] = []
        self.ask_wanted = asyncio.Event()
        self.taken: Callable[[], str | None] = _nobody
        self.wire: OrderWire
        self.sender: Sender

    @property
    def may_send(self) -> bool:
        """In step with the broker, or about to be: asked immediately before anything leaves."""
        return (self.is_applying or self.link.is_up) and self.taken() is None

    @property
    def now_s(self) -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()

    @property
    def exits_wait(self) -> bool:
        """Whether too many exits were in vain for the next one to leave already."""
        return self.exit_tries.must_wait(self.now_s)

    @property
    def due_s(self) -> float:
        """When something has to have been heard of what is sent now."""
        return self.now_s + self.terms.ack_timeout_s

    @property
    def stopped_qty(self) -> int:
        """Contracts for which a stop of the right side works, or is on its way."""
        return sum(track.remaining_qty for track in self.live(Leg.STOP) if self.guards(track))

    def live(self, *legs: Leg) -> list[Track]:
        """Orders of every decision that something can still become of."""
        return [track for desk in self.desks.values() for track in desk.live(*legs)]

    def ask(self, why: str) -> None:
        """The broker has to be asked, soon."""
        self.asks.append(why)
        self.ask_wanted.set()

    def begin(self, bracket: Bracket) -> Desk:
        """Another decision is at work."""
        self.desk = self._add(Desk(bracket.order_ref, bracket, self.held, self.terms.commission_cents))
        return self.desk

    def desk_of(self, decision: str) -> Desk:
        """A decision's desk; one without a bracket where there was none."""
        known = self.desks.get(decision)
        return known or self._add(Desk(decision, None, self.held, self.terms.commission_cents))

    def desk_for(self, order_ref: str) -> Desk:
        """Where an order of the line belongs: of a foreign position it does not know under which name its stop is."""
        stopped = [desk for desk in self.desks.values() if any(map(self.guards, desk.live(Leg.STOP)))]
        return stopped[-1] if stopped and order_ref == self.foreign_ref else self.desk_of(order_ref)

    def guards(self, track: Track) -> bool:
        """Whether it is on the side that makes the position smaller."""
        return track.draft.side * self.held.qty < 0

    def close_no_more(self) -> None:
        """Nothing is to be closed any more, or there is nothing."""
        for desk in self.desks.values():
            desk.close_reason, desk.leave_qty = None, 0

    def reaches(self, track: Track) -> bool:
        """Whether it can be moved and cancelled: it was sent under the client id of now."""
        return track.client_id == self.wire.client_id

    def break_off(self, why: str) -> None:
        """Protect only, from now on; told once."""
        self.may_enter = False
        if not self.is_broken:
            self.is_broken = True
            self.watcher.on_broken(why)

    def _add(self, desk: Desk) -> Desk:
        self.desks[desk.decision] = desk
        for old in [each for each in self.desks.values() if each.is_done][: max(len(self.desks) - DESKS_KEPT, 0)]:
            del self.desks[old.decision]
        return desk


def _nobody() -> str | None:
    return None
