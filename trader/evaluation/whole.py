"""One evaluation from its bars to its record: the headline, the runs beside it, the random band, the judgement."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import numpy as np
from msgspec import Struct

from trader.analysis.advice_worth import AdvisedRuns, advice_worth
from trader.analysis.evaluation import EVALUATION_VERSION, Evaluation, RunName
from trader.analysis.evaluation_parts import Band
from trader.analysis.splits import walk_forward
from trader.analysis.verdict import verdict
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.evaluation.asked import Asked
from trader.evaluation.band import Arena, band_of, make_arena, plan_entries
from trader.evaluation.evidence import evidence_of, record_folds
from trader.evaluation.facts import facts_of_evaluation, name_of, subject_of_run
from trader.evaluation.figures import Measured, costs_of, measure
from trader.evaluation.record import Seen, ambiguous_of, headline_of, run_record, stress_of
from trader.evaluation.runs import TITLES, Advance, Made, plan_runs, trade, trade_beside
from trader.evaluation.shadow import would_be
from trader.evaluation.walk_forward import Candidate, walk
from trader.policy.manifest import Inputs
from trader.training.ground import Ground, prepare_ground

BOOTSTRAP_SEED = 20_220_101
PLACEBO_SEED = 7

Shown = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows that something of so many bars is being done, by its name, until the context ends."""


class Gathered(Struct, frozen=True, kw_only=True, eq=False):
    """Everything that has run: what the record is made of. `candidates` are the models of a walk-forward."""

    headline: Seen
    beside: Mapping[RunName, Seen]
    band: Band | None
    ground: Ground
    candidates: tuple[Candidate, ...]


async def evaluate(asked: Asked, shown: Shown) -> Evaluation:
    """The whole evaluation. InputError where the bars are too short to trade on, UsageError where folds do
    not fit."""
    columns, calendar = asked.market.columns, Calendar.load()
    ground = prepare_ground(asked.settings, columns, calendar, instrument(asked.settings.market))
    if asked.folds is not None:
        walk_forward(ground.tape.session_dates, asked.folds)  # refuses folds that do not fit before anything runs
    with shown(TITLES[RunName.FUSED], len(columns)) as advance:
        made = await trade(asked.market, asked.settings, RunName.FUSED, advance)
    headline = _seen(made)
    plan = plan_runs(asked.settings, PLACEBO_SEED)
    beside = {}
    for name in plan.names:
        with shown(TITLES[name], len(columns)) as advance:
            beside[name] = _seen(await trade_beside(asked.market, made, name, plan, advance))
    arena = make_arena(ground, columns, calendar, full=reads_all(made))
    with shown(f"{asked.seeds} random strategies", asked.seeds * len(columns)) as advance:
        band = _band(asked, headline, arena, advance)
    candidates = await _candidates(asked, headline, shown)
    return record_of(asked, Gathered(headline=headline, beside=beside, band=band, ground=ground, candidates=candidates))


def reads_all(made: Made) -> bool:
    """Whether the headline's model reads all 261 values, and is ready later for it."""
    bundle = made.run.bundle
    return bundle is not None and bundle.manifest.inputs is Inputs.FULL


def record_of(asked: Asked, gathered: Gathered) -> Evaluation:
    """The record of what has run; the trials file is written here."""
    headline, beside = gathered.headline, gathered.beside
    made, statistics = headline.made, headline.measured.statistics
    market = instrument(asked.settings.market)
    facts = facts_of_evaluation(asked, made)
    stressed = beside.get(RunName.DOUBLE_COSTS)
    walked = asked.trained if asked.folds is None else walk(gathered.candidates, asked.folds)
    if walked is not None:
        record_folds(asked, facts, walked)
    return Evaluation(
        version=EVALUATION_VERSION,
        facts=facts,
        split=asked.split,
        verdict=verdict(
            statistics.mean_r.value or 0.0,
            np.array([] if gathered.band is None else gathered.band.mean_daily_r),
            sessions=statistics.sessions,
            trades=statistics.trades,
        ),
        headline=headline_of(made, market, costs_of(made, market), would_be(gathered.ground, made.witness.blocked)),
        runs=tuple(run_record(seen) for seen in (headline, *beside.values())),
        band=gathered.band,
        stress=None if stressed is None else stress_of(headline, stressed),
        ambiguous=ambiguous_of(headline),
        sharpe=evidence_of(asked, facts, subject_of_run(made), headline.measured),
        placebo=advice_worth(_advised(headline.measured, beside), BOOTSTRAP_SEED),
        walk_forward=None if walked is None else walked.record,
    )


def _seen(made: Made) -> Seen:
    return Seen(made=made, measured=measure(made, instrument(made.settings.market), BOOTSTRAP_SEED))


def _band(asked: Asked, headline: Seen, arena: Arena, advance: Advance) -> Band | None:
    sessions = tuple(row.session for row in headline.measured.rows)
    return band_of(arena, plan_entries(headline.made.witness, arena), sessions, asked.seeds, advance)


async def _candidates(asked: Asked, headline: Seen, shown: Shown) -> tuple[Candidate, ...]:
    """The headline's model and its rivals; none where no walk-forward was asked for."""
    if asked.folds is None:
        return ()
    found = [_candidate(headline)]
    for number, settings in enumerate(asked.rivals, 2):
        with shown(f"model {number} of {1 + len(asked.rivals)}", len(asked.market.columns)) as advance:
            found.append(_candidate(_seen(await trade(asked.market, settings, RunName.FUSED, advance))))
    return tuple(found)


def _candidate(seen: Seen) -> Candidate:
    bundle = seen.made.run.bundle
    return Candidate(
        name=name_of(seen.made),
        subject=subject_of_run(seen.made),
        seed=None if bundle is None else bundle.manifest.provenance.seed,
        sessions=tuple(row.session for row in seen.measured.rows),
        daily_r=seen.measured.daily_r,
        daily_usd=seen.measured.daily_usd,
    )


def _advised(measured: Measured, beside: Mapping[RunName, Seen]) -> AdvisedRuns | None:
    names = (RunName.PLACEBO_SHUFFLED, RunName.PLACEBO_INVERTED, RunName.RL_ONLY)
    if not all(name in beside for name in names):
        return None
    shuffled, inverted, rl_only = (beside[name].measured.daily_r for name in names)
    return AdvisedRuns(fused=measured.daily_r, shuffled=shuffled, inverted=inverted, rl_only=rl_only)
