"""From a closed bar to a look: features, mask, proposal, perhaps a question. No I/O, no clock, no await."""

from collections.abc import Callable
from typing import NoReturn

from msgspec import Struct

from trader.advisor.gate import TRIGGER_SETS, Gate
from trader.advisor.question import Question, ask_about
from trader.book import Book
from trader.domain.actions import ACTIONS, Action
from trader.domain.bars import Bar
from trader.domain.decisions import NotAsked, Proposal, Trigger
from trader.domain.instruments import Instrument
from trader.domain.sessions import Session
from trader.domain.units import MINUTE_NS
from trader.errors import StrategyError
from trader.kernels import book as k
from trader.kernels import line, market
from trader.kernels.line import MARKED, MASK, READY, TRAILED
from trader.outlook import Outlook, Reading
from trader.ports import Strategy

_NUMBERS = (float, int)  # the exact types: a record cannot hold numpy's


HOLD = Proposal(Action.HOLD, 1.0)


class Look(Struct, frozen=True, gc=False):
    """What the line has seen and thought at the close of bar `seq`, before any advice.

    `forced` says that HOLD was the only valid action. `question` is set where the advisor is to be asked, `triggers`
    then say why, else `not_asked` says why not. `stop_trailed` says that the trail has pulled the stop at this bar.
    """

    seq: int
    outlook: Outlook
    proposal: Proposal
    forced: bool
    triggers: tuple[Trigger, ...]
    not_asked: NotAsked | None
    question: Question | None
    stop_trailed: bool
    close_ticks: int
    stop_distance_ticks: int
    target_distance_ticks: int


class Pipeline:
    """The market's state, the strategy and the gate of one run.

    With `on_strategy_error` set (live) a strategy that fails is told of there and HOLDs from then on; without, its
    error ends the run.
    """

    def __init__(
        self, instrument: Instrument, book: Book, strategy: Strategy, strategy_name: str, gate: Gate, *, full: bool
    ) -> None:
        self._instrument = instrument
        self._book = book
        self._row = book.row
        self._terms = book.terms
        self._nobody = Book(book.terms)
        self._propose = strategy.propose
        self._strategy_name = strategy_name
        self._gate = gate
        self._full = full
        self._state = market.new_state()
        self._obs = market.new_obs()
        self._shown = self._obs.view()  # the next bar's window is moved on from this one's: nobody else may write it
        self._shown.flags.writeable = False
        self._reading = line.new_reading()
        self.on_strategy_error: Callable[[StrategyError], None] | None = None
        self._seq = -1
        self._sound: Proposal | None = None  # the last proposal that was looked at: most strategies repeat theirs

    @property
    def atr_ticks(self) -> float:
        """ATR of the last bar in ticks, at least one: what stop distances are made of."""
        return float(self._state[market.ATR])

    def begin_session(self, session: Session) -> None:
        """Enter a session, before its first bar."""
        halt = session.halts[0] if session.halts else (0, 0)
        market.begin_session(
            self._state,
            session.open_ns // MINUTE_NS,
            session.close_ns // MINUTE_NS,
            session.rth_open_ns // MINUTE_NS,
            session.rth_close_ns // MINUTE_NS,
            halt[0] // MINUTE_NS,
            halt[1] // MINUTE_NS,
        )

    def roll(self, offset_points: float) -> None:
        """Enter a new contract, before its first bar."""
        market.roll(self._state, float(self._instrument.to_ticks(offset_points)))

    def warm(self, bar: Bar, session: Session) -> None:
        """Take a closed bar for its features, as of an account that may do nothing; a strategy may remember it."""
        bits = self._observe(bar, self._nobody.row, entries_open=False)
        account = self._nobody.view()
        outlook = Outlook(bar, session, self._shown, self._read()[0], bits & MASK, bits & READY != 0, account)
        self._proposal(outlook, self._seq)

    def _observe(self, bar: Bar, row: k.Row, *, entries_open: bool) -> int:
        volume = bar.volume
        return int(
            line.observe(
                self._state,
                self._obs,
                self._reading,
                row,
                self._terms,
                bar.ts_open_ns,
                bar.ts_close_ns,
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                volume or 0,
                volume is not None,
                self._full,
                entries_open,
            )
        )

    def _read(self) -> tuple[Reading, int, int, int]:
        """What the kernel says of the bar; with it close, stop and target distance in ticks."""
        adx, rsi, atr, vwap, vwap_distance, momentum, sma_20, sma_50, regime, ticks, stop, target = (
            self._reading.tolist()
        )
        reading = Reading(adx, rsi, atr, vwap, vwap_distance, momentum, sma_20, sma_50, int(regime))
        return reading, int(ticks), int(stop), int(target)

    def look(self, bar: Bar, session: Session, *, entries_open: bool, halted: bool) -> Look:
        """Take a closed bar whose fills are already in the book.

        StrategyError where the strategy proposes outside the mask, or what is no proposal.
        """
        self._seq = seq = self._seq + 1
        bits = self._observe(bar, self._row, entries_open=entries_open)
        book = self._book
        if bits & MARKED:
            book.touch()
        mask = bits & MASK
        ready = bits & READY != 0
        account = book.view()
        reading, ticks, stop, target = self._read()
        outlook = Outlook(bar, session, self._shown, reading, mask, ready, account)
        proposal = self._proposal(outlook, seq)
        asked = self._gate.decide(seq, mask, proposal, account, ready=ready, halted=halted)
        forced = mask & (mask - 1) == 0
        trailed = bits & TRAILED != 0
        if isinstance(asked, NotAsked):
            return Look(seq, outlook, proposal, forced, (), asked, None, trailed, ticks, stop, target)
        question = ask_about(outlook, seq, self._instrument)
        triggers = TRIGGER_SETS[asked]
        return Look(seq, outlook, proposal, forced, triggers, None, question, trailed, ticks, stop, target)

    def answered(self, seq: int) -> None:
        """A usable answer came at bar `seq`: the gate counts its interval from there."""
        self._gate.answered(seq)

    def mask_now(self, close_ticks: int, *, ready: bool, entries_open: bool) -> int:
        """The mask, computed again from the book as it is now."""
        return int(k.valid_actions(self._row, self._terms, close_ticks, self.atr_ticks, ready and entries_open))

    def _proposal(self, outlook: Outlook, seq: int) -> Proposal:
        try:
            proposal = self._propose(outlook)
            if proposal is not self._sound:
                self._check(proposal, seq)
            if not outlook.mask >> proposal.action & 1:
                self._refuse_masked(proposal.action, seq)
        except Exception as error:  # a strategy is anybody's code, and a position must outlive its faults
            named = error if isinstance(error, StrategyError) else self._error(seq, f"failed: {error!r}")
            if self.on_strategy_error is None:
                raise named from error
            self._propose = _hold
            self.on_strategy_error(named)
            return HOLD
        return proposal

    def _refuse_masked(self, action: Action, seq: int) -> NoReturn:
        msg = f"strategy {self._strategy_name!r} proposed {action.name} at bar {seq}, outside the mask"
        raise StrategyError(msg)

    def _error(self, seq: int, fault: str) -> StrategyError:
        return StrategyError(f"strategy {self._strategy_name!r} at bar {seq} {fault}")

    def _check(self, proposal: object, seq: int) -> None:
        """A strategy is anybody's code: past here a proposal is what its type says."""
        if type(proposal) is not Proposal:
            fault = f"returned {proposal!r}, which is no Proposal"
        elif type(proposal.action) is not Action:
            fault = f"proposed {proposal.action!r}, which is no Action"
        elif type(proposal.confidence) not in _NUMBERS or not 0 <= proposal.confidence <= 1:
            fault = f"is confident to {proposal.confidence!r}; a confidence is a number from 0 to 1"
        elif proposal.probs is not None and len(proposal.probs) != len(ACTIONS):
            fault = f"gives {len(proposal.probs)} probabilities; there are {len(ACTIONS)} actions"
        else:
            self._sound = proposal
            return
        raise self._error(seq, fault)


def _hold(outlook: Outlook) -> Proposal:
    del outlook
    return HOLD
