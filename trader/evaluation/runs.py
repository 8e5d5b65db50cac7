"""The runs of an evaluation: each through the engine that trades, on the same bars, differing in its settings alone."""

from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.counts import AdviceCounts
from trader.advisor.question import Question
from trader.advisors import Advising, AdvisorChoice, advising
from trader.analysis.evaluation import RunName
from trader.analysis.figures import Report, facts_of
from trader.app import BarsFacts, Run, assemble
from trader.assembly import commission_side_cents
from trader.domain.bars import Bar
from trader.domain.decisions import Advice
from trader.domain.instruments import instrument
from trader.evaluation.placebo import AdviceAlone, InvertedAdvisor, ShuffledAdvisor, recorded_advice
from trader.evaluation.witness import Witness
from trader.ports import Advisor, Feed, Strategy
from trader.settings import Settings

STRESS_FACTOR = 2

TITLES = {
    RunName.FUSED: "strategy with advice",
    RunName.RL_ONLY: "strategy alone",
    RunName.ADVICE_ONLY: "advice alone",
    RunName.NO_VETO: "without the risk vetoes",
    RunName.PLACEBO_SHUFFLED: "placebo: advice shuffled",
    RunName.PLACEBO_INVERTED: "placebo: advice inverted",
    RunName.DOUBLE_COSTS: f"costs x {STRESS_FACTOR}",
    RunName.FLAT: "flat",
    RunName.BUY_AND_HOLD: "buy and hold",
    RunName.SMA_CROSS: "SMA cross",
}
BASELINES = (RunName.FLAT, RunName.BUY_AND_HOLD, RunName.SMA_CROSS)


class Market(Struct, frozen=True, kw_only=True):
    """The bars of an evaluation, loaded once, and what a run's manifest says of them."""

    columns: BarColumns
    facts: BarsFacts


class Made(Struct, frozen=True, kw_only=True):
    """A run that has ended, and what was seen of it."""

    name: RunName
    settings: Settings
    run: Run
    witness: Witness
    report: Report
    advice: AdviceCounts


Advance = Callable[[int], None]
"""Told of every so many bars that have been worked off."""


class FollowedFeed:
    """A feed that tells how far it is."""

    def __init__(self, feed: Feed, advance: Advance) -> None:
        self._feed = feed
        self._advance = advance

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The feed's chunks, unchanged."""
        async for chunk in self._feed.chunks():
            bars = list(chunk)
            yield bars
            self._advance(len(bars))


async def trade(
    market: Market,
    settings: Settings,
    name: RunName,
    advance: Advance,
    *,
    strategy: Strategy | None = None,
    advisor: Advisor | Advising | None = None,
) -> Made:
    """One run over all bars. `strategy` and `advisor` replace those of the settings."""
    witness = Witness()
    run = assemble(settings, market.facts, log=witness, strategy=strategy, advisor=advisor)
    run.engine.controls.reconciled()
    try:
        await run.engine.run(FollowedFeed(ReplayFeed([market.columns]), advance))
    finally:
        await run.advisor.close()
    report = run.tally.report(facts_of(run.start), accounts_used=run.engine.accounts_used)
    return Made(name=name, settings=settings, run=run, witness=witness, report=report, advice=run.advisor.counts())


class Plan(Struct, frozen=True, kw_only=True):
    """Which runs beside the headline, and the seed of the shuffled advice."""

    names: tuple[RunName, ...]
    placebo_seed: int


def plan_runs(settings: Settings, placebo_seed: int) -> Plan:
    """All runs that mean something under `settings`: those about advice need an advisor."""
    about_advice = (RunName.RL_ONLY, RunName.ADVICE_ONLY, RunName.PLACEBO_SHUFFLED, RunName.PLACEBO_INVERTED)
    advised = about_advice if settings.advisor.backend != "off" else ()
    vetoed = (RunName.NO_VETO,) if settings.risk.enable_risk_veto else ()
    return Plan(names=(*advised, *vetoed, RunName.DOUBLE_COSTS, *BASELINES), placebo_seed=placebo_seed)


async def trade_beside(market: Market, headline: Made, name: RunName, plan: Plan, advance: Advance) -> Made:
    """The run `name` beside the headline."""
    settings = variant(headline.settings, name)
    strategy: Strategy | None = None
    advisor: Advisor | Advising | None = None
    exchanges = headline.witness.exchanges
    match name:
        case RunName.ADVICE_ONLY:
            strategy = AdviceAlone(_adviser(headline), instrument(settings.market))
        case RunName.PLACEBO_SHUFFLED:
            advisor = _in_place(settings, lambda _: ShuffledAdvisor(exchanges, plan.placebo_seed))
        case RunName.PLACEBO_INVERTED:
            advisor = _in_place(settings, InvertedAdvisor)
        case _:
            pass
    return await trade(market, settings, name, advance, strategy=strategy, advisor=advisor)


def _in_place(settings: Settings, other: Callable[[Advisor], Advisor]) -> Advising:
    """Another advisor in the place of the settings' own, under the bounds and weights that its advice would meet."""
    asked = advising(settings, instrument(settings.market), AdvisorChoice(is_patient=True))
    return replace(asked, advisor=other(asked.advisor))


def variant(settings: Settings, name: RunName) -> Settings:
    """The headline's settings with what `name` changes of them, and nothing else."""
    match name:
        case RunName.FUSED | RunName.PLACEBO_SHUFFLED | RunName.PLACEBO_INVERTED:
            return settings
        case RunName.RL_ONLY | RunName.ADVICE_ONLY:
            return _without_advice(settings)
        case RunName.NO_VETO:
            risk = settings.risk.model_copy(update={"enable_risk_veto": False})
            return settings.model_copy(update={"risk": risk})
        case RunName.DOUBLE_COSTS:
            return _stressed(settings)
        case RunName.FLAT | RunName.BUY_AND_HOLD | RunName.SMA_CROSS:
            strategy = settings.strategy.model_copy(update={"name": name.value, "options": {}})
            return _without_advice(settings).model_copy(update={"strategy": strategy})


def _without_advice(settings: Settings) -> Settings:
    """What was fitted to an advisor goes with it."""
    calibration = settings.advisor.calibration.model_copy(update={"fitted": None})
    advisor = settings.advisor.model_copy(update={"backend": "off", "calibration": calibration})
    return settings.model_copy(update={"advisor": advisor})


def _stressed(settings: Settings) -> Settings:
    """Costs times the factor. The review's share of costs is widened alike: the same entries are to be judged."""
    execution = settings.execution
    side_cents = commission_side_cents(settings, instrument(settings.market))
    dearer = {
        "slippage_ticks": STRESS_FACTOR * execution.slippage_ticks,
        "commission_side_usd": Decimal(STRESS_FACTOR * side_cents) / 100,
    }
    share = min(1.0, STRESS_FACTOR * settings.risk.max_cost_share)
    return settings.model_copy(
        update={
            "execution": execution.model_copy(update=dearer),
            "risk": settings.risk.model_copy(update={"max_cost_share": share}),
        }
    )


def _adviser(headline: Made) -> Callable[[Question], Advice | None]:
    """Who is asked when advice trades alone: the rules at every bar, another back end what it said in the headline."""
    if headline.settings.advisor.backend != "rules":
        return recorded_advice(headline.witness.exchanges)
    rules = RulesAdvisor()
    return lambda question: rules.ask(question).advice
