"""A short backtest of a policy in training: what advice and review make of it, for the board."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from pathlib import Path

from trader import assembly
from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.asker import Asker
from trader.advisor.cache import AdviceCache
from trader.advisor.counts import AdviceCounts
from trader.advisor.question import Answer, Question
from trader.app import BarsFacts, assemble
from trader.book import Book
from trader.domain.decisions import AdviceStatus, Decision, FusionMethod
from trader.pipeline import Look
from trader.recorder import Outcome
from trader.records import EventKind
from trader.router import Router
from trader.settings import Settings

_FAILED = (AdviceStatus.ERROR, AdviceStatus.INVALID, AdviceStatus.BREAKER_OPEN)


class Choices:
    """The port RunLog: counts the decisions that had a choice, and keeps nothing else."""

    is_healthy = True
    backlog = 0

    def __init__(self) -> None:
        self.methods: Counter[FusionMethod] = Counter()
        self.vetoed = 0
        self.advised = 0
        self.advice_confidence = 0.0

    def begin_session(self, date: str) -> None:
        """All sessions count alike."""

    def event(self, kind: EventKind, from_bar: int, detail: Mapping[str, str | int]) -> None:
        """Nothing of it is counted."""

    def discard(self) -> None:
        """Nothing was written."""

    def close(self, bars: int, router: Router, book: Book) -> None:
        """The counts are complete."""

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """Count one bar."""
        if router.has_news:
            router.drain()
            router.drain_unfilled()
        if look.forced:
            return
        self.methods[decision.method] += 1
        self.vetoed += bool(outcome.vetoes)
        advice = None if answer is None else answer.usable
        if advice is not None:
            self.advised += 1
            self.advice_confidence += advice.confidence


class TimedRules(RulesAdvisor):
    """The rules advisor with a stop watch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def ask(self, question: Question) -> Answer:
        """The same answer."""
        began_s = time.perf_counter()
        answer = super().ask(question)
        self.seconds += time.perf_counter() - began_s
        return answer


def fusion_figures(settings: Settings, bundle: Path, columns: BarColumns, facts: BarsFacts) -> dict[str, float]:
    """Trade `columns` with the bundle and the rules advisor; the figures by their names on the board.

    Percentages are of the decisions that had a choice, agreement's of those that had usable advice.
    """
    strategy = settings.strategy.model_copy(update={"name": "ppo", "options": {}})
    policy = settings.policy.model_copy(update={"bundle": str(bundle)})
    advisor_settings = settings.advisor.model_copy(update={"backend": "rules"})
    settings = settings.model_copy(update={"strategy": strategy, "policy": policy, "advisor": advisor_settings})
    backend, choices = TimedRules(), Choices()
    cache = AdviceCache(assembly.cache_rules(settings), "rules")
    advisor = Asker(backend, assembly.ask_rules(settings, is_patient=True), cache)
    run = assemble(settings, facts, log=choices, advisor=advisor)
    run.engine.controls.reconciled()
    asyncio.run(_trade(run.engine.run(ReplayFeed([columns])), advisor))
    return _figures(choices, advisor.counts(), backend.seconds)


async def _trade(running: Coroutine[None, None, None], advisor: Asker) -> None:
    try:
        await running
    finally:
        await advisor.close()


def _figures(choices: Choices, advice: AdviceCounts, seconds: float) -> dict[str, float]:
    decisions = max(choices.methods.total(), 1)
    advised, asked = max(choices.advised, 1), max(advice.asked, 1)
    failed = sum(advice.by_status[status] for status in _FAILED)
    return {
        "llm/total_queries": float(advice.asked),
        "llm/avg_latency_ms": 1000 * seconds / max(advice.model_calls, 1),
        "llm/error_rate": failed / asked,
        "llm/cache_hit_rate": advice.by_status[AdviceStatus.CACHED] / asked,
        "fusion/agreement_pct": 100 * choices.methods[FusionMethod.AGREEMENT] / advised,
        "fusion/rl_only_pct": 100 * choices.methods[FusionMethod.RL_ONLY] / decisions,
        "fusion/risk_veto_pct": 100 * choices.vetoed / decisions,
        "confidence/llm_avg": choices.advice_confidence / advised,
    }
