"""One evaluation from its bars to its record: the headline, the runs beside it, the random band, the judgement."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from trader import __version__
from trader.adapters.strategy_loader import SHIPPED
from trader.analysis.advice_worth import AdvisedRuns, advice_worth
from trader.analysis.bootstrap import RESAMPLES
from trader.analysis.evaluation import (
    EVALUATION_VERSION,
    Evaluation,
    Facts,
    RunName,
)
from trader.analysis.evaluation_parts import Band, SharpeEvidence, SplitFacts
from trader.analysis.sharpe import moments, sharpe_evidence
from trader.analysis.trials import Occasion, Scope, Trial, overlapping_trials, record_trial
from trader.analysis.verdict import DAILY_VALUES_MIN, verdict
from trader.assembly import terms_of_trade
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.evaluation.band import Arena, band_of, make_arena, plan_entries
from trader.evaluation.claims import bundle_facts, claim_of
from trader.evaluation.figures import Measured, costs_of, measure
from trader.evaluation.record import Seen, ambiguous_of, headline_of, run_record, stress_of
from trader.evaluation.runs import TITLES, Advance, Made, Market, plan_runs, trade, trade_beside
from trader.evaluation.shadow import would_be
from trader.policy.manifest import Inputs
from trader.settings import Settings, decision_hash
from trader.training.ground import Ground, prepare_ground

BOOTSTRAP_SEED = 20_220_101
PLACEBO_SEED = 7


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be evaluated. `made_utc` is when, for the trials file alone; `command` how to do it again.

    `split` says how the bars lie to the training's; it was settled before anything ran.
    """

    market: Market
    settings: Settings
    split: SplitFacts
    seeds: int
    skipped_bars: int
    command: str
    made_utc: str


Shown = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows that something of so many bars is being done, by its name, until the context ends."""


async def evaluate(asked: Asked, shown: Shown) -> Evaluation:
    """The whole evaluation. InputError where the bars are too short to trade on."""
    settings, bars = asked.settings, len(asked.market.columns)
    market = instrument(settings.market)
    calendar = Calendar.load()
    ground = prepare_ground(settings, asked.market.columns, calendar, market)
    with shown(TITLES[RunName.FUSED], bars) as advance:
        made = await trade(asked.market, settings, RunName.FUSED, advance)
    plan = plan_runs(settings, PLACEBO_SEED)
    beside = []
    for name in plan.names:
        with shown(TITLES[name], bars) as advance:
            beside.append(await trade_beside(asked.market, made, name, plan, advance))
    headline, *others = [Seen(made=one, measured=measure(one, market, BOOTSTRAP_SEED)) for one in (made, *beside)]
    with shown(f"{asked.seeds} random strategies", asked.seeds * bars) as advance:
        band = _band(asked, headline, make_arena(ground, asked.market.columns, calendar, full=reads_all(made)), advance)
    return _record(asked, headline, others, band, ground)


def reads_all(made: Made) -> bool:
    """Whether the headline's model reads all 261 values, and is ready later for it."""
    bundle = made.run.bundle
    return bundle is not None and bundle.manifest.inputs is Inputs.FULL


def _band(asked: Asked, headline: Seen, arena: Arena, advance: Advance) -> Band | None:
    sessions = tuple(row.session for row in headline.measured.rows)
    return band_of(arena, plan_entries(headline.made.witness, arena), sessions, asked.seeds, advance)


def _record(asked: Asked, headline: Seen, others: list[Seen], band: Band | None, ground: Ground) -> Evaluation:
    made, measured = headline.made, headline.measured
    market = instrument(asked.settings.market)
    facts = facts_of_evaluation(asked, made)
    by_name = {seen.name: seen for seen in others}
    stressed = by_name.get(RunName.DOUBLE_COSTS)
    random_mean_r = np.array([] if band is None else band.mean_daily_r)
    mean_r = measured.statistics.mean_r.value or 0.0
    statistics = measured.statistics
    return Evaluation(
        version=EVALUATION_VERSION,
        facts=facts,
        split=asked.split,
        verdict=verdict(mean_r, random_mean_r, sessions=statistics.sessions, trades=statistics.trades),
        headline=headline_of(made, market, costs_of(made, market), would_be(ground, made.witness.blocked)),
        runs=tuple(run_record(seen) for seen in (headline, *others)),
        band=band,
        stress=None if stressed is None else stress_of(headline, stressed),
        ambiguous=ambiguous_of(headline),
        sharpe=_evidence(asked, facts, measured),
        placebo=advice_worth(_advised(measured, by_name), BOOTSTRAP_SEED),
        walk_forward=None,
    )


def _advised(measured: Measured, by_name: dict[RunName, Seen]) -> AdvisedRuns | None:
    names = (RunName.PLACEBO_SHUFFLED, RunName.PLACEBO_INVERTED, RunName.RL_ONLY)
    runs = [by_name[name].measured.daily_r for name in names if name in by_name]
    if len(runs) < len(names):
        return None
    shuffled, inverted, rl_only = runs
    return AdvisedRuns(fused=measured.daily_r, shuffled=shuffled, inverted=inverted, rl_only=rl_only)


def _evidence(asked: Asked, facts: Facts, measured: Measured) -> SharpeEvidence:
    """Add this evaluation to the trials of these dates, and judge its Sharpe ratio among them."""
    folder = Path(asked.settings.state.dir)
    scope = Scope(
        market=facts.market,
        first_session=facts.first_session,
        last_session=facts.last_session,
        is_synthetic=facts.is_synthetic,
    )
    seen = moments(measured.daily_usd)
    trials = record_trial(
        folder,
        scope,
        Trial(
            made_utc=asked.made_utc,
            occasion=Occasion.EVALUATION,
            subject=subject_of(facts),
            config=f"{facts.settings_sha256}-{facts.advisor}",
            sharpe_session=None if seen is None else seen.sharpe_session,
            sessions=len(measured.rows),
        ),
    )
    return sharpe_evidence(
        measured.daily_usd,
        trials.sharpes_session,
        trials_file=scope.file_name,
        notes=(*trials.notes(), *_elsewhere(folder, scope)),
    )


def _elsewhere(folder: Path, scope: Scope) -> tuple[str, ...]:
    count = overlapping_trials(folder, scope)
    return (f"{count} more trials looked at other dates that overlap these",) if count else ()


def subject_of(facts: Facts) -> str:
    """What a trial is of: a model's hash, or a strategy's name."""
    return facts.strategy if facts.bundle is None else facts.bundle.id


def facts_of_evaluation(asked: Asked, made: Made) -> Facts:
    """What was evaluated, on what, under which terms."""
    settings, report = asked.settings, made.report
    market = instrument(settings.market)
    terms = terms_of_trade(settings, market)
    bundle = None if made.run.bundle is None else bundle_facts(made.run.bundle)
    bars = asked.market.facts
    claim, reason = claim_of(
        report.run.labels,
        asked.split,
        bundle,
        is_shipped=settings.strategy.name in SHIPPED,
        enough=report.run.sessions >= DAILY_VALUES_MIN,
    )
    facts = Facts(
        evaluation_id="",
        strategy=settings.strategy.name,
        bundle=bundle,
        source=bars.source,
        bars_sha256=bars.sha256,
        is_synthetic=bars.synthetic,
        market=market.symbol,
        market_name=market.name,
        tick=market.tick,
        tick_value_usd=market.tick_value_cents / 100,
        bar_minutes=bars.bar_minutes,
        bars=report.run.bars,
        window_bars=report.run.window_bars,
        skipped_bars=asked.skipped_bars,
        first_session=report.run.first_session or "",
        last_session=report.run.last_session or "",
        sessions=report.run.sessions,
        advisor=settings.advisor.backend,
        commission_side_usd=terms.commission_side_cents / 100,
        slippage_ticks=terms.slippage_ticks,
        forced_slippage_ticks=terms.forced_slippage_ticks,
        qty=settings.execution.qty,
        start_balance_usd=settings.account.start_balance_cents / 100,
        trailing_limit_usd=settings.account.trailing_limit_cents / 100,
        entry_window=settings.execution.entry_window,
        settings_sha256=decision_hash(settings),
        code_version=__version__,
        mismatches=report.run.mismatches,
        labels=tuple(label.value for label in report.run.labels),
        claim=claim,
        claim_reason=reason,
        seeds=asked.seeds,
        bootstrap_resamples=RESAMPLES,
        command=asked.command,
    )
    return msgspec.structs.replace(facts, evaluation_id=identity_of(asked, facts))


def identity_of(asked: Asked, facts: Facts) -> str:
    """A short name of exactly this evaluation: bars, model, settings, seeds and version."""
    digest = hashlib.sha256(msgspec.json.encode((asked.market.facts, facts, asked.settings.advisor.backend)))
    return digest.hexdigest()[:12]
