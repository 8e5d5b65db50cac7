"""What a run decided, bar by bar: a digest of each canonical record, and whole records on request."""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from struct import Struct as Layout

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.advisor.question import Answer
from trader.book import Book
from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import Decision
from trader.domain.instruments import Instrument
from trader.pipeline import Look
from trader.recorder import Outcome, Recorder
from trader.records import EventKind, IdsRecord
from trader.router import Router

DIGEST_BYTES = 16
_CHOICE = Layout("<BBf")
_HEAD = len(b'{"c":')
_STAMP = b"{}"
_TAIL = len(b',"x":') + len(_STAMP) + len(b',"hash":"') + 64 + len(b'"}\n')
_IDS = IdsRecord(config="", bundle="", advisor="", schema="")
"""Who decided is the same in every run that is compared."""


class Trail(Struct, frozen=True, kw_only=True):
    """One run: `digests` holds 16 bytes a bar, of its canonical record; `records` those that were asked for, by bar.

    `choices` holds 6 bytes a bar: the action proposed, the one decided, and the confidence of the proposal.
    `active` are the bars at which the strategy proposed something else than HOLD, `ready_from` the first bar at which
    every feature was full, the number of bars if there was none.
    """

    digests: bytes
    choices: bytes
    records: Mapping[int, bytes]
    active: tuple[int, ...]
    ready_from: int

    def __len__(self) -> int:
        return len(self.digests) // DIGEST_BYTES

    def did(self, bar: int) -> str | None:
        """What was proposed and decided at a bar, in words; None where the run had ended."""
        if bar >= len(self):
            return None
        proposed, decided, confidence = _CHOICE.unpack_from(self.choices, bar * _CHOICE.size)
        return f"proposed {ACTIONS[proposed].name} ({confidence:.6g}), decided {ACTIONS[decided].name}"

    def first_difference(self, other: "Trail", until: int) -> int | None:
        """The first bar before `until` whose records differ or that one of the runs lacks; None if there is none."""
        one, two = _rows(self.digests)[:until], _rows(other.digests)[:until]
        shared = min(len(one), len(two))
        differs = np.flatnonzero(one[:shared] != two[:shared])
        if len(differs):
            return int(differs[0])
        return shared if min(until, max(len(one), len(two))) > shared else None


def _rows(digests: bytes) -> NDArray[np.void]:
    return np.frombuffer(digests, dtype=np.dtype((np.void, DIGEST_BYTES)))


class TrailLog:
    """Watches a run in place of its decision log, and keeps its trail."""

    is_healthy = True
    backlog = 0

    def __init__(self, instrument: Instrument, daily_limit_cents: int, shown: Collection[int] = ()) -> None:
        self._recorder = Recorder(
            stamp=lambda: _STAMP,
            ids=_IDS,
            instrument=instrument,
            daily_limit_cents=daily_limit_cents,
            is_veto_enabled=True,
        )
        self._shown = frozenset(shown)
        self._digests = bytearray()
        self._choices = bytearray()
        self._records: dict[int, bytes] = {}
        self._active: list[int] = []
        self._ready_from: int | None = None

    def trail(self) -> Trail:
        """What was seen so far."""
        count = len(self._digests) // DIGEST_BYTES
        return Trail(
            digests=bytes(self._digests),
            choices=bytes(self._choices),
            records=self._records,
            active=tuple(self._active),
            ready_from=count if self._ready_from is None else self._ready_from,
        )

    def begin_session(self, date: str) -> None:
        """A bar's record names its session."""

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """One record more."""
        orders, fills, _ = router.drain()
        router.drain_unfilled()
        record = self._recorder.line(look, answer, decision, outcome, orders, fills)[_HEAD:-_TAIL]
        self._digests += blake2b(record, digest_size=DIGEST_BYTES).digest()
        proposal = look.proposal
        self._choices += _CHOICE.pack(proposal.action, decision.action, proposal.confidence)
        if look.seq in self._shown:
            self._records[look.seq] = record
        if proposal.action is not Action.HOLD:
            self._active.append(look.seq)
        if look.outlook.ready and self._ready_from is None:
            self._ready_from = look.seq

    def event(self, kind: EventKind, from_bar: int, detail: Mapping[str, str | int]) -> None:
        """What an event changes shows in the records."""

    def close(self, bars: int, router: Router, book: Book) -> None:
        """What happens after the last bar is no decision."""
        del bars, book
        router.drain()

    def discard(self) -> None:
        """Nothing was written."""
