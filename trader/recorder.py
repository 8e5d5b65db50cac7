"""Writes what happened as lines of the decision log: records in, sealed bytes out.

Sections are encoded one by one and joined, so that what did not change since the last bar (account, ids, "not asked")
is encoded once. `trader.records` is the schema; a test decodes every kind of line with it.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from trader.advisor.question import Answer
from trader.chain import Chain
from trader.clock_text import SessionClock
from trader.domain.account import AccountView
from trader.domain.actions import ACTIONS
from trader.domain.decisions import Decision, NotAsked, Proposal, Rule
from trader.domain.instruments import Instrument
from trader.domain.orders import Order
from trader.domain.sessions import Session
from trader.news import BookedFill
from trader.pipeline import Look
from trader.record_parts import ACTION_NAMES, account_record, fill_record, llm_record, order_record
from trader.records import (
    LOG_VERSION,
    BarRecord,
    ContinueRecord,
    EndRecord,
    EventRecord,
    FusionRecord,
    IdsRecord,
    LimitsRecord,
    QueryRecord,
    RiskRecord,
    RlRecord,
    StartRecord,
)
from trader.risk.rules import rules_in

_MASKS = tuple(tuple(mask >> bit & 1 for bit in range(len(ACTIONS))) for mask in range(64))
_encode = msgspec.json.Encoder().encode
_EMPTY = b"[]"
_NULL = b"null"


class Outcome(NamedTuple):
    """What the review said: `approved`, `vetoed` or `idle`, the rules that blocked it, bits of the rules in force."""

    verdict: str
    vetoes: tuple[Rule, ...]
    active: int


class Recorder:
    """One run's log writer: keeps the chain, and the encoded form of what seldom changes.

    `stamp` gives each line's `x`: a constant in a replay, wall time and latency live.
    """

    def __init__(
        self,
        *,
        stamp: Callable[[], bytes],
        ids: IdsRecord,
        instrument: Instrument,
        daily_limit_cents: int,
        is_veto_enabled: bool,
    ) -> None:
        self.chain = Chain()
        self._stamp = stamp
        self._ids = _encode(ids)
        self._instrument = instrument
        self._daily_limit_cents = daily_limit_cents
        self._is_veto_enabled = is_veto_enabled
        self._queries: dict[object, bytes] = {}
        self._view: AccountView | None = None
        self._account = b""
        self._limits = LimitsRecord(to_threshold=0.0, to_daily_limit=0.0, trades_in_session=0)
        self._outcome: Outcome | None = None
        self._not_asked: NotAsked | None = None
        self._tail = b""
        self._risk = b""
        self._session: Session | None = None
        self._clock = SessionClock(0, 0, 0)
        self._proposal: Proposal | None = None
        self._mask = 0
        self._rl = b""
        self._decision: Decision | None = None
        self._fusion = b""

    def start(self, record: StartRecord) -> bytes:
        """The first line of a run."""
        return self.chain.seal(b"start", _encode(record), self._stamp())

    def go_on(self, previous_file: str) -> bytes:
        """The first line of each later file."""
        record = ContinueRecord(previous_file=previous_file, head=self.chain.head)
        return self.chain.seal(b"continue", _encode(record), self._stamp())

    def event(self, record: EventRecord) -> bytes:
        """Something besides bars that replay must know."""
        return self.chain.seal(b"e", _encode(record), self._stamp())

    def end(self, bars: int, fills: list[BookedFill], view: AccountView) -> bytes:
        """The last line of a run that was closed."""
        record = EndRecord(
            bars=bars,
            lines=self.chain.lines + 1,
            fills=tuple(fill_record(fill, self._instrument) for fill in fills),
            account=account_record(view, self._instrument),
        )
        return self.chain.seal(b"end", _encode(record), self._stamp())

    def line(
        self,
        look: Look,
        answer: Answer | None,
        decision: Decision,
        outcome: Outcome,
        orders: list[Order],
        fills: list[BookedFill],
    ) -> bytes:
        """The record of one bar."""
        outlook = look.outlook
        is_as_before = (
            look.not_asked is self._not_asked
            and outlook.account is self._view
            and look.proposal is self._proposal
            and outlook.mask == self._mask
            and decision is self._decision
            and outcome is self._outcome
            and answer is None
            and not orders
            and not fills
        )
        if not is_as_before:
            self._tail = self._new_tail(look, answer, decision, outcome, orders, fills)
            # What was asked, answered, ordered or filled is of this bar alone.
            self._not_asked = None if answer is not None or orders or fills else look.not_asked
        head = b'{"v":%d,"seq":%d,"bar":' % (LOG_VERSION, look.seq)
        payload = head + self._bar(look) + b',"features":' + _features(look) + self._tail
        return self.chain.seal(b"c", payload, self._stamp())

    def _new_tail(
        self,
        look: Look,
        answer: Answer | None,
        decision: Decision,
        outcome: Outcome,
        orders: list[Order],
        fills: list[BookedFill],
    ) -> bytes:
        outlook = look.outlook
        if outlook.account is not self._view:
            self._remember(outlook.account)
        if look.proposal is not self._proposal or outlook.mask != self._mask:
            self._remember_proposal(look)
        if decision is not self._decision:
            self._remember_decision(decision)
        if outcome is not self._outcome:
            self._remember_outcome(outcome)
        return b"".join(
            (
                b',"rl":',
                self._rl,
                b',"query":',
                self._query(look),
                b',"llm":',
                _NULL if answer is None else _encode(llm_record(answer)),
                b',"fusion":',
                self._fusion,
                b',"risk":',
                self._risk,
                b',"orders":',
                _encode([order_record(order, self._instrument) for order in orders]) if orders else _EMPTY,
                b',"fills":',
                _encode([fill_record(fill, self._instrument) for fill in fills]) if fills else _EMPTY,
                b',"account":',
                self._account,
                b',"ids":',
                self._ids,
                b"}",
            )
        )

    def _remember(self, view: AccountView) -> None:
        self._view = view
        self._account = _encode(account_record(view, self._instrument))
        self._limits = LimitsRecord(
            to_threshold=(view.equity_cents - view.threshold_cents) / 100,
            to_daily_limit=(view.equity_cents - view.session_open_cents + self._daily_limit_cents) / 100,
            trades_in_session=view.trades_in_session,
        )
        self._outcome = None

    def _bar(self, look: Look) -> bytes:
        bar = look.outlook.bar
        session = look.outlook.session
        if session is not self._session:
            self._session = session
            self._clock = SessionClock(session.open_ns, session.close_ns, session.et_offset_s)
        clock = self._clock
        open_utc, open_et = clock.texts(bar.ts_open_ns)
        close_utc, close_et = clock.texts(bar.ts_close_ns)
        return _encode(
            BarRecord(
                open_utc=open_utc,
                close_utc=close_utc,
                open_et=open_et,
                close_et=close_et,
                session=session.date,
                symbol=bar.symbol,
                o=bar.open,
                h=bar.high,
                l=bar.low,
                c=bar.close,
                v=bar.volume,
                roll_offset=bar.roll_offset,
            )
        )

    def _remember_proposal(self, look: Look) -> None:
        proposal, mask = look.proposal, look.outlook.mask
        probs = proposal.probs
        record = RlRecord(
            action=ACTION_NAMES[proposal.action],
            confidence=round(proposal.confidence, 6),
            probs=None if probs is None else tuple([round(p, 6) for p in probs]),
            mask=_MASKS[mask],
            forced=look.forced,
        )
        self._proposal, self._mask = proposal, mask
        self._rl = _encode(record)

    def _remember_decision(self, decision: Decision) -> None:
        record = FusionRecord(
            method=decision.method,
            action=ACTION_NAMES[decision.action],
            confidence=round(decision.confidence, 6),
            weight=round(decision.weight, 6),
        )
        self._decision = decision
        self._fusion = _encode(record)

    def _query(self, look: Look) -> bytes:
        key = look.triggers or look.not_asked
        known = self._queries.get(key)
        if known is None:
            asked = look.question is not None
            record = QueryRecord(
                asked=asked,
                triggers=tuple(trigger.value for trigger in look.triggers) if asked else (),
                skipped_because=None if look.not_asked is None else look.not_asked.value,
            )
            known = self._queries[key] = _encode(record)
        return known

    def _remember_outcome(self, outcome: Outcome) -> None:
        record = RiskRecord(
            verdict=outcome.verdict,
            vetoes=tuple(rule.value for rule in outcome.vetoes),
            active=tuple(rule.value for rule in rules_in(outcome.active)),
            veto_enabled=self._is_veto_enabled,
            limits=self._limits,
        )
        self._outcome = outcome
        self._risk = _encode(record)


def _features(look: Look) -> bytes:
    """A FeaturesRecord: the reading has its later fields, in the same order, and is spliced in as it is encoded."""
    outlook = look.outlook
    ready = b'","ready":true,' if outlook.ready else b'","ready":false,'
    return b'{"sha256":"' + sha256(outlook.obs.data).hexdigest().encode() + ready + _encode(outlook.reading)[1:]
