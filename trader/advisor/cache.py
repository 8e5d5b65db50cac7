"""Answers that may be given again while market and account look the same. Pure; time is the bars'.

Key and ageing (spec advisor.md): buckets of the reading, five minutes of bar time, x 0.8^k at the k-th reuse.
"""

import hashlib
from collections import OrderedDict
from math import floor

from msgspec import Struct
from msgspec.structs import replace

from trader.advisor.question import Answer, Question, to_step
from trader.domain.decisions import Advice, AdviceStatus
from trader.domain.units import SECOND_NS

RSI_STEP = 5
ADX_STEP = 5
PARTS_PER_ATR = 4
PARTS_PER_R = 4
WIN_RATE_PARTS = 10
STREAK_TOP = 3
MAX_ENTRIES = 512


class CacheRules(Struct, frozen=True, kw_only=True):
    """How long an answer lasts in minutes of bar time, and what each reuse leaves of its confidence."""

    cache_minutes: int
    reuse_decay: float


class Scope(Struct, frozen=True, gc=False):
    """What ends every answer's life at once when it changes: session, contract, position."""

    session_open_ns: int
    symbol: str
    position_qty: int
    trades_closed: int


class Entry(Struct, frozen=True, gc=False):
    """One kept answer: the advice with its original confidence, the bar time at which it was asked for, its reuses."""

    advice: Advice
    prompt_sha256: str | None
    ts_ns: int
    reuse: int


class CacheState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What survives a restart: the answers of the back end that `identity` names by key, oldest first."""

    identity: str
    scope: Scope | None
    entries: tuple[tuple[str, Entry], ...]


class AdviceCache:
    """Answers by key. `identity` names template, model, revision and quantisation of the back end."""

    def __init__(self, rules: CacheRules, identity: str) -> None:
        self._lasts_ns = rules.cache_minutes * 60 * SECOND_NS
        self._decay = rules.reuse_decay
        self._identity = identity
        self._prefix = hashlib.sha256(identity.encode() + b"\0")
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._scope: Scope | None = None
        self._keyed: Question | None = None
        self._key = ""
        self.hits = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, question: Question) -> Answer | None:
        """The kept answer to a question like this one, aged; None when there is none or it is too old."""
        self._enter(question)
        key = self.key(question)
        entry = self._entries.get(key)
        if entry is None:
            return None
        age_ns = question.ts_close_ns - entry.ts_ns
        if age_ns > self._lasts_ns:
            del self._entries[key]
            return None
        reuse = entry.reuse + 1
        self._entries[key] = replace(entry, reuse=reuse)
        self.hits += 1
        return Answer(
            status=AdviceStatus.CACHED,
            advice=replace(entry.advice, confidence=to_step(entry.advice.confidence * self._decay**reuse)),
            from_cache=True,
            age_s=age_ns // SECOND_NS,
            reuse=reuse,
            visible_from_bar=question.seq,
            prompt_sha256=entry.prompt_sha256,
        )

    def keep(self, question: Question, advice: Advice, prompt_sha256: str | None) -> None:
        """Remember fresh advice, unrounded. Advice on a position or session that has ended since is dropped."""
        scope = _scope_of(question)
        if self._scope is None:
            self._scope = scope
        if scope != self._scope:
            return
        key = self.key(question)
        self._entries[key] = Entry(advice, prompt_sha256, question.ts_close_ns, 0)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)

    def evict(self) -> None:
        """Forget everything: a contract roll, which the question alone need not show."""
        self.evictions += len(self._entries)
        self._entries.clear()

    def state(self) -> CacheState:
        """What a restart needs."""
        return CacheState(identity=self._identity, scope=self._scope, entries=tuple(self._entries.items()))

    def restore(self, state: CacheState) -> None:
        """Go on as the cache that had this state; the answers of another back end are left out."""
        if state.identity == self._identity:
            self._scope = state.scope
            self._entries = OrderedDict(state.entries)

    def key(self, question: Question) -> str:
        """sha256 (hex) of everything that must look the same."""
        if question is not self._keyed:
            self._keyed = question
            digest = self._prefix.copy()
            digest.update(_look(question).encode())
            self._key = digest.hexdigest()
        return self._key

    def _enter(self, question: Question) -> None:
        scope = _scope_of(question)
        if scope != self._scope:
            self.evict()
            self._scope = scope


def stop_state(question: Question) -> str:
    """Where the stop stands: `none` when flat, else `trail`, `break_even` (entry or better) or `initial`."""
    if question.entry_price is None or question.stop_price is None:
        return "none"
    if question.trailing:
        return "trail"
    side = 1 if question.position_qty > 0 else -1
    return "break_even" if side * question.stop_price >= side * question.entry_price else "initial"


def _look(question: Question) -> str:
    quarter_atr = question.atr / PARTS_PER_ATR
    qty = question.position_qty
    risk_cents = question.initial_risk_cents
    return (
        f"{question.market}|{question.mask}|{(qty > 0) - (qty < 0)}|{stop_state(question)}"
        f"|{floor(question.rsi / RSI_STEP)}|{floor(question.adx / ADX_STEP)}"
        f"|{floor((question.price - question.vwap) / quarter_atr)}|{floor(question.momentum / quarter_atr)}"
        f"|{question.unrealized_cents * PARTS_PER_R // risk_cents if risk_cents > 0 else 0}"
        f"|{floor(question.win_rate * WIN_RATE_PARTS + 1e-9)}|{min(question.streak, STREAK_TOP)}|{question.regime}"
    )


def _scope_of(question: Question) -> Scope:
    return Scope(question.session_open_ns, question.symbol, question.position_qty, question.trades_closed)
