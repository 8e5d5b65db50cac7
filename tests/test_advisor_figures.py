"""What became of a run's questions, as the end of a report tells it."""

import asyncio

from msgspec.structs import replace
from replays import FACTS, busy_settings, two_weeks

from trader.adapters.memory_feed import MemoryFeed
from trader.advisor.counts import Spread
from trader.analysis.figures import facts_of
from trader.app import assemble
from trader.commands.advisor_figures import AdvisorFigures, advisor_figures, advisor_lines
from trader.learning import AdaptiveCosts

FIGURES = AdvisorFigures(
    asked=1_234,
    by_trigger={"low_confidence": 0, "entry": 200, "interval": 1_100, "state_change": 4},
    cached=234,
    model_calls=1_000,
    late=3,
    late_used=2,
    invalid=1,
    errors=1,
    missing=0,
    legal_mass_mean=0.98765,
    latency_ms=Spread(p50=7.25, p95=9.5, p99=1_234.5),
    silent_members={},
    weights={-1: 0.3, 0: 0.25, 1: 0.5},
    adaptive=AdaptiveCosts(outcomes=200, learned_loss=100.0, cap_cost=2.0, choice_cost=-4.0),
)


def test_figures_of_a_model_are_seven_lines() -> None:
    """Triggers that never fired are left out."""
    assert advisor_lines(FIGURES) == [
        "",
        "Questions: 1,234 by entry 200, interval 1,100, state_change 4",
        "  answered out of the cache 234, by the back end 1,000",
        "  probability left to valid answers: 0.988 in the mean",
        "  model latency: 7.2 ms (p50), 9.5 (p95), 1234.5 (p99)",
        "  weight of the advisor at the end, learned by regime: down 0.300, none 0.250, up 0.500",
        "  judged 200 times; share of choices lost 0.500 as learned, +0.010 by the cap, -0.020 by choosing one",
    ]


def test_figures_of_rules_have_no_model_in_them() -> None:
    """And none at all where nobody was asked; without triggers every bar asks."""
    rules = replace(
        FIGURES, legal_mass_mean=None, latency_ms=None, by_trigger={"entry": 0}, weights=None, adaptive=None
    )
    assert advisor_lines(rules)[1:] == [
        "Questions: 1,234 by every bar",
        "  answered out of the cache 234, by the back end 1,000",
    ]
    assert advisor_lines(replace(FIGURES, asked=0)) == []


def test_figures_of_a_run_agree_with_its_report() -> None:
    """Gate, asker and tally count each for themselves; what hits the cache calls nobody."""
    run = assemble(busy_settings("advisor.cache_minutes=60", "fusion.use_selective_querying=false"), FACTS, log=None)
    run.engine.controls.reconciled()
    asyncio.run(run.engine.run(MemoryFeed(two_weeks(), 64)))
    figures = advisor_figures(run)
    decisions = run.tally.report(facts_of(run.start), accounts_used=1).decisions

    assert figures.asked == decisions.advice_asked > figures.cached > 0
    assert figures.cached == decisions.advice["cached"]
    assert figures.model_calls == figures.asked - figures.cached
    assert max(figures.by_trigger.values()) <= figures.asked
    assert (figures.late, figures.late_used, figures.invalid, figures.errors, figures.missing) == (0,) * 5
    assert (figures.legal_mass_mean, figures.latency_ms, figures.weights, figures.adaptive) == (None,) * 4
