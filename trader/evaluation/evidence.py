"""What a Sharpe ratio proves after so many looks at the same dates: the trials file is read and written here."""

from pathlib import Path

from trader.analysis.evaluation import Facts
from trader.analysis.evaluation_parts import SharpeEvidence
from trader.analysis.sharpe import moments, sharpe_evidence
from trader.analysis.trials import Occasion, Scope, Trial, overlapping_trials, record_trial
from trader.evaluation.asked import Asked
from trader.evaluation.figures import Floats, Measured
from trader.evaluation.walk_forward import Walked


def evidence_of(asked: Asked, facts: Facts, subject: str, measured: Measured) -> SharpeEvidence:
    """Add this evaluation of `subject` to the trials of these dates, and judge its Sharpe ratio among them."""
    folder = Path(asked.settings.state.dir)
    scope = _scope(facts, facts.first_session, facts.last_session)
    trial = _trial(asked, Occasion.EVALUATION, subject, facts, measured.daily_usd)
    trials = record_trial(folder, scope, trial)
    return sharpe_evidence(
        measured.daily_usd,
        trials.sharpes_session,
        trials_file=scope.file_name,
        notes=(*trials.notes(), *_elsewhere(folder, scope)),
    )


def record_folds(asked: Asked, facts: Facts, walked: Walked) -> None:
    """Add each test of each fold to the trials of the fold's dates."""
    for fold, candidates in zip(walked.record.folds, walked.tested, strict=True):
        scope = _scope(facts, fold.test_first, fold.test_last)
        for one in candidates:
            trial = _trial(asked, Occasion.WALK_FORWARD, one.subject, facts, one.test_usd)
            record_trial(Path(asked.settings.state.dir), scope, trial)


def _scope(facts: Facts, first: str, last: str) -> Scope:
    return Scope(market=facts.market, first_session=first, last_session=last, is_synthetic=facts.is_synthetic)


def _trial(asked: Asked, occasion: Occasion, subject: str, facts: Facts, daily_usd: Floats) -> Trial:
    seen = moments(daily_usd)
    return Trial(
        made_utc=asked.made_utc,
        occasion=occasion,
        subject=subject,
        config=f"{facts.settings_sha256}-{facts.advisor}",
        sharpe_session=None if seen is None else seen.sharpe_session,
        sessions=len(daily_usd),
    )


def _elsewhere(folder: Path, scope: Scope) -> tuple[str, ...]:
    count = overlapping_trials(folder, scope)
    return (f"{count} more trials looked at other dates that overlap these",) if count else ()
