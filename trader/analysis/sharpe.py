"""How much a Sharpe ratio is worth: the probability that the true one is above zero, or above the best of luck.

Bailey & Lopez de Prado, "The Sharpe Ratio Efficient Frontier" (2012) and "The Deflated Sharpe Ratio" (2014). All ratios
here are per session and not annualised, as in the papers.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, variance

from msgspec import Struct

from trader.analysis.drawdowns import Floats
from trader.analysis.evaluation_parts import SharpeEvidence
from trader.analysis.metrics import SHARPE_SESSIONS_MIN

_NORMAL = NormalDist()
_EULER_GAMMA = 0.5772156649015329


class Moments(Struct, frozen=True, kw_only=True):
    """Of daily values: the Sharpe ratio per session, and skewness and kurtosis (3 for the normal) of the sample."""

    sessions: int
    sharpe_session: float
    skewness: float
    kurtosis: float


def moments(values: Floats) -> Moments | None:
    """The moments of daily `values`, shape (n,); None below 20 sessions or where all are equal."""
    if len(values) < SHARPE_SESSIONS_MIN or values.min() == values.max():
        return None
    deviations = values - values.mean()
    spread = math.sqrt(float((deviations**2).mean()))
    return Moments(
        sessions=len(values),
        sharpe_session=float(values.mean() / values.std(ddof=1)),
        skewness=float((deviations**3).mean()) / spread**3,
        kurtosis=float((deviations**4).mean()) / spread**4,
    )


def probabilistic_sharpe(seen: Moments, benchmark_session: float = 0.0) -> float:
    """P(true Sharpe ratio > benchmark), both per session: Phi of the excess over its standard error (2012, eq. 11)."""
    ratio = seen.sharpe_session
    error = 1 - seen.skewness * ratio + (seen.kurtosis - 1) / 4 * ratio**2
    return _NORMAL.cdf((ratio - benchmark_session) * math.sqrt(seen.sessions - 1) / math.sqrt(error))


def luck_session(trials: int, trials_variance: float) -> float:
    """Expected best Sharpe ratio per session of `trials` >= 1 worthless ones with this variance (2014, eq. 1)."""
    if trials < 2:
        return 0.0
    best = _NORMAL.inv_cdf(1 - 1 / trials)
    rare = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(trials_variance) * ((1 - _EULER_GAMMA) * best + _EULER_GAMMA * rare)


def sharpe_evidence(
    values: Floats, trial_sharpes_session: Sequence[float | None], *, trials_file: str, notes: tuple[str, ...] = ()
) -> SharpeEvidence:
    """What the Sharpe ratio of daily `values` proves after as many trials, this one among them; all per session.

    A trial whose ratio has no meaning (None) is counted, but says nothing about their spread. With a single trial
    nothing was chosen: luck is 0 and both probabilities are the same. Where `values` have no Sharpe ratio, they have
    no probabilities either.
    """
    trials = max(len(trial_sharpes_session), 1)
    known = [sharpe for sharpe in trial_sharpes_session if sharpe is not None]
    spread = variance(known) if len(known) > 1 else None
    luck = luck_session(trials, spread or 0.0)
    seen = moments(values)
    return SharpeEvidence(
        sessions=len(values),
        daily_sharpe=None if seen is None else seen.sharpe_session,
        skew=None if seen is None else seen.skewness,
        kurtosis=None if seen is None else seen.kurtosis,
        probabilistic=None if seen is None else probabilistic_sharpe(seen),
        deflated=None if seen is None else probabilistic_sharpe(seen, luck),
        trials=trials,
        trials_variance=spread,
        expected_best=luck,
        trials_file=trials_file,
        notes=notes,
    )
