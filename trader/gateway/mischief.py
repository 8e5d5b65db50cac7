"""Plays a script of faults on a gateway: on its frames, its connections, its orders and its bars."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from trader.domain.units import SECOND_NS
from trader.gateway.data_answers import DELAYED, LIVE
from trader.gateway.faults import FRAME_VERBS, Chance, Fault, Verb
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import error
from trader.gateway.order_mischief import OrderMischief, by_hand
from trader.gateway.session import Session
from trader.gateway.wire import Fields

BY_HAND = 0
"""The client id of orders that were entered by hand."""
LOST, RESTORED_WITHOUT_DATA, RESTORED = 1100, 1101, 1102


class FrameMischief:
    """The server's tap: what the script does to frames on their way out. While `holds`, frames wait for the end."""

    def __init__(self, chances: Iterable[Chance], fired: Counter[Verb]) -> None:
        self.holds = False
        self._chances = [chance for chance in chances if chance.fault.do in FRAME_VERBS]
        self._fired = fired
        self._held: list[tuple[Session, bytes]] = []
        self._later: list[tuple[Session, bytes]] = []

    def __call__(self, session: Session, fields: Fields, frame: bytes) -> None:
        """A frame: written, or what the first fault that is due makes of it."""
        if self.holds:
            self._held.append((session, frame))
            return
        due = [chance.fault for chance in self._chances if chance.fault.message in {0, fields[0]} and chance.is_due()]
        if not due:
            session.write(frame)
        else:
            self._fired[due[0].do] += 1
            self._spoil(due[0], session, frame)
        if not due or due[0].do is not Verb.REORDER:
            self._release()

    def let_go(self) -> None:
        """The end of an outage: everything that waited, in its order."""
        self.holds = False
        for session, frame in self._held:
            session.write(frame)
        self._held.clear()

    def _release(self) -> None:
        for session, frame in self._later:
            session.write(frame)
        self._later.clear()

    def _spoil(self, fault: Fault, session: Session, frame: bytes) -> None:
        match fault.do:
            case Verb.DELAY:
                asyncio.get_running_loop().call_later(fault.seconds, session.write, frame)
            case Verb.DUPLICATE:
                session.write(frame + frame)
            case Verb.REORDER:
                self._later.append((session, frame))
            case Verb.TRUNCATE:
                session.write(frame[: len(frame) // 2])
                session.close()
            case _:
                pass  # dropped


class BarMischief:
    """What the script does at the beginning of a bar, and takes back some bars later."""

    def __init__(self, gateway: Gateway, orders: OrderMischief, frames: FrameMischief) -> None:
        self._gateway = gateway
        self._fired = orders.fired
        self._frames = frames
        self._chances = [chance for chance in orders.chances if chance.fault.do in _DOING]
        self._undo: list[tuple[int, Callable[[], None]]] = []
        self._bars = 0
        self._by_hand = 0

    def begin_bar(self) -> None:
        """A bar is about to open."""
        over = [undo for bar, undo in self._undo if bar <= self._bars]
        self._undo = [(bar, undo) for bar, undo in self._undo if bar > self._bars]
        for undo in over:
            undo()
        for chance in self._chances:
            at = chance.fault.bar
            if chance.is_due() if at is None else at == self._bars:
                self._fired[chance.fault.do] += 1
                _DOING[chance.fault.do](self, chance.fault)
        self._bars += 1

    def _after(self, fault: Fault, undo: Callable[[], None]) -> None:
        self._undo.append((self._bars + fault.bars, undo))

    def _tell_all(self, code: int, text: str) -> None:
        for session in self._gateway.server.sessions:
            session.send(error(-1, code, text))

    def _reset(self, fault: Fault) -> None:
        del fault
        for session in self._gateway.server.sessions:
            session.reset()

    def _half_open(self, fault: Fault) -> None:
        del fault
        for session in self._gateway.server.sessions:
            session.fall_silent()

    def _refuse(self, fault: Fault) -> None:
        server = self._gateway.server
        server.is_refusing = True
        self._after(fault, lambda: setattr(server, "is_refusing", False))

    def _hold_id(self, fault: Fault) -> None:
        server = self._gateway.server
        server.held_ids.add(fault.client)
        held = server.session_of(fault.client)
        if held is not None:
            held.reset()
        self._after(fault, lambda: server.held_ids.discard(fault.client))

    def _error(self, fault: Fault) -> None:
        self._tell_all(fault.code, fault.text or "by script")

    def _outage(self, fault: Fault) -> None:
        self._tell_all(LOST, "Connectivity between IB and Trader Workstation has been lost.")
        self._frames.holds = not fault.tells
        self._after(fault, lambda: self._restore(fault.code or RESTORED))

    def _restore(self, code: int) -> None:
        self._frames.let_go()
        kept = "lost" if code == RESTORED_WITHOUT_DATA else "maintained"
        self._tell_all(code, f"Connectivity between IB and Trader Workstation has been restored - data {kept}.")
        if code == RESTORED_WITHOUT_DATA:
            for session in self._gateway.server.sessions:
                session.wants.forget_market()

    def _nightly_reset(self, fault: Fault) -> None:
        self._tell_all(LOST, "Connectivity between IB and Trader Workstation has been lost.")
        for session in self._gateway.server.sessions:
            session.close()
        self._refuse(fault)

    def _roll_back_ids(self, fault: Fault) -> None:
        self._gateway.ids.roll_back(fault.ids)

    def _manual_trade(self, fault: Fault) -> None:
        self._gateway.exchange.trade_by_hand(fault.qty)

    def _manual_order(self, fault: Fault) -> None:
        gateway = self._gateway
        self._by_hand -= 1  # orders that no client has sent have ids below 0
        gateway.exchange.place(BY_HAND, by_hand(gateway.market, self._by_hand, fault))

    def _expiry(self, fault: Fault) -> None:
        del fault
        self._gateway.exchange.end_contract()

    def _clock_jump(self, fault: Fault) -> None:
        self._gateway.market.skew_ns += round(fault.seconds * SECOND_NS)

    def _missing_bar(self, fault: Fault) -> None:
        ticker = self._gateway.ticker
        ticker.is_muted = True
        self._after(fault, lambda: setattr(ticker, "is_muted", False))

    def _duplicate_bar(self, fault: Fault) -> None:
        del fault
        self._gateway.ticker.repeats = True

    def _late_bar(self, fault: Fault) -> None:
        del fault
        self._gateway.ticker.is_late = True

    def _revised_bar(self, fault: Fault) -> None:
        self._gateway.ticker.revision_ticks = fault.ticks

    def _delayed_data(self, fault: Fault) -> None:
        data = self._gateway.data
        data.data_type = DELAYED
        self._after(fault, lambda: setattr(data, "data_type", LIVE))


_DOING: dict[Verb, Callable[[BarMischief, Fault], None]] = {
    Verb.RESET: BarMischief._reset,
    Verb.HALF_OPEN: BarMischief._half_open,
    Verb.REFUSE: BarMischief._refuse,
    Verb.HOLD_ID: BarMischief._hold_id,
    Verb.ERROR: BarMischief._error,
    Verb.OUTAGE: BarMischief._outage,
    Verb.NIGHTLY_RESET: BarMischief._nightly_reset,
    Verb.ROLL_BACK_IDS: BarMischief._roll_back_ids,
    Verb.MANUAL_TRADE: BarMischief._manual_trade,
    Verb.MANUAL_ORDER: BarMischief._manual_order,
    Verb.EXPIRY: BarMischief._expiry,
    Verb.CLOCK_JUMP: BarMischief._clock_jump,
    Verb.MISSING_BAR: BarMischief._missing_bar,
    Verb.FROZEN: BarMischief._missing_bar,
    Verb.DUPLICATE_BAR: BarMischief._duplicate_bar,
    Verb.LATE_BAR: BarMischief._late_bar,
    Verb.REVISED_BAR: BarMischief._revised_bar,
    Verb.DELAYED_DATA: BarMischief._delayed_data,
}


def play_faults(gateway: Gateway, orders: OrderMischief) -> FrameMischief:
    """Play the rest of the script on a gateway whose Quirks are `orders`."""
    frames = FrameMischief(orders.chances, orders.fired)
    gateway.server.tap = frames
    gateway.server.gate = orders.admits
    gateway.before_bar = BarMischief(gateway, orders, frames).begin_bar
    return frames
