"""An advisor that means harm: any action, any confidence, on every bar that leaves a choice, for 100,000 bars."""

import asyncio
import random
from collections.abc import Mapping

from ledger import Ledger, Watch
from msgspec import Struct
from replays import FACTS, busy_settings, synthetic_bars

from trader.adapters.memory_feed import MemoryFeed
from trader.advisor.counts import AdviceCounts, AdviceTally
from trader.advisor.question import Answer, Question
from trader.app import assemble
from trader.book import Book
from trader.domain.account import AccountView
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus, Decision
from trader.domain.instruments import instrument
from trader.domain.orders import Bracket
from trader.kernels import rules as k
from trader.pipeline import Look
from trader.record_parts import fill_record
from trader.recorder import Outcome
from trader.records import EventKind
from trader.router import Router

BARS = 100_000
NQ = instrument("NQ")
ENTRIES = (Action.BUY, Action.SELL)
BLOCKED_BY = {Action.BUY: ~k.INVALID_NOW, Action.SELL: ~k.INVALID_NOW, Action.ENABLE_TRAIL: k.DRAWDOWN_PROXIMITY}
"""Which rules in force forbid an action, in the shipped table: any of them an entry, one of them ENABLE_TRAIL."""
EVERY_BAR = (
    "fusion.use_selective_querying=false",
    "fusion.llm_weight=1.0",
    "advisor.backend=rules",
    "risk.max_trades_per_session=1000",
    "strategy.options={seed: 35, rate: 0.05}",
)


class Enemy:
    """The port Advisor without the asker's checks before it: what it says goes straight to the fusion."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.said = dict.fromkeys(Action, 0)

    async def start(self) -> None:
        """Always ready."""

    async def answer(self, question: Question) -> Answer:
        """Whatever comes to mind, valid or not, as sure as it likes."""
        action = self._random.choice(list(Action))
        self.said[action] += 1
        confidence = self._random.choice((0.0, 0.3, 0.95, 1.0, self._random.random()))
        return Answer(
            status=self._random.choice((AdviceStatus.USED, AdviceStatus.CACHED)),
            advice=Advice(action=action, confidence=confidence, reason="because"),
            visible_from_bar=question.seq,
        )

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:
        """Also where nobody asked: forced bars, vetoed bars, the night."""
        del ts_close_ns, mask, account
        action = self._random.choice(list(Action))
        return Answer(
            status=AdviceStatus.USED, advice=Advice(action=action, confidence=1.0, reason=""), visible_from_bar=seq
        )

    def forget(self) -> None:
        """It forgets nothing."""

    def counts(self) -> AdviceCounts:
        """It counts nothing."""
        return AdviceTally().counts(0)

    async def close(self) -> bool:
        """Nothing to end."""
        return True


class Seen(Struct):
    """What was seen, so that the test knows that there was something to see."""

    bars: int = 0
    entries: int = 0
    vetoed: int = 0
    led: int = 0
    managed: int = 0


class Guard:
    """The port RunLog: checks every bar against the mask, the rules in force and the one position."""

    is_healthy = True
    backlog = 0

    def __init__(self) -> None:
        self.seen = Seen()
        self.ledger = Ledger(NQ, 225, 5_000_000, 1)

    def begin_session(self, date: str) -> None:
        """Nothing is written."""

    def event(self, kind: EventKind, from_bar: int, detail: Mapping[str, str | int]) -> None:
        """A new account begins flat."""
        del from_bar, detail
        if kind is EventKind.ACCOUNT_RENEWED:
            self.ledger.renew()

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """One bar: the decision is valid, no rule forbids what was approved, what left is one contract's bracket."""
        seen, account, mask = self.seen, look.outlook.account, look.outlook.mask
        orders, fills, _ = router.drain()
        router.drain_unfilled()
        seen.bars += 1
        for fill in fills:
            self.ledger.take(fill_record(fill, NQ))
        assert abs(account.position_qty) <= 1
        assert mask >> decision.action & 1, "an action outside the mask"
        brackets = [order for order in orders if isinstance(order, Bracket)]
        if outcome.verdict == "approved":
            assert not outcome.active & BLOCKED_BY.get(decision.action, 0), "a veto was bypassed"
            seen.managed += decision.action not in ENTRIES
        else:
            assert not brackets
            seen.vetoed += outcome.verdict == "vetoed"
        for bracket in brackets:
            assert bracket.qty == 1
            assert account.position_qty == 0
            assert decision.action in ENTRIES
            assert (bracket.stop_distance_ticks, bracket.target_distance_ticks) == (
                look.stop_distance_ticks,
                look.target_distance_ticks,
            )
            seen.entries += 1
        if answer is not None and answer.advice is not None:
            seen.led += decision.action is answer.advice.action is not look.proposal.action

    def close(self, bars: int, router: Router, book: Book) -> None:
        """Drain what is left."""
        del bars, book
        router.drain()

    def discard(self) -> None:
        """Nothing was written."""


def test_advice_of_any_kind_bypasses_no_veto_loosens_no_stop_and_enlarges_nothing() -> None:
    """The whole line under a hostile advisor whose weight is 1: mask, review, bracket and book hold on every bar."""
    bars = synthetic_bars("2019-01-02", 75, bar_minutes=1)[:BARS]
    guard, enemy = Guard(), Enemy(5)
    run = assemble(busy_settings(*EVERY_BAR), FACTS, log=guard, advisor=enemy)
    parts = run.engine._parts
    parts.router.connect(Watch(parts.broker))
    run.engine.controls.reconciled()

    asyncio.run(run.engine.run(MemoryFeed(bars)))

    seen = guard.seen
    assert seen.bars == len(bars) == BARS
    assert min(enemy.said.values()) > 1_000
    assert seen.entries > 500
    assert seen.vetoed > 500
    assert seen.led > 1_000, "the advisor had no voice, so that nothing was tested"
    assert seen.managed > 50
