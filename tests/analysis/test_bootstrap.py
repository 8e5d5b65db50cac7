"""The bootstrap: what it draws, whether its intervals cover, and what has none."""

import numpy as np
import pytest

from trader.analysis.bootstrap import (
    Daily,
    Interval,
    block_sessions,
    equity_band,
    intervals,
    mean_interval,
    resampled_sessions,
)


def autocorrelated(rng: np.random.Generator, count: int, rho: float) -> np.ndarray:
    """A stationary first-order autoregression of unit innovations, mean 0."""
    values = np.empty(count)
    values[0] = rng.standard_normal() / np.sqrt(1 - rho**2)
    for at, shock in enumerate(rng.standard_normal(count - 1), 1):
        values[at] = rho * values[at - 1] + shock
    return values


def daily(pnl_r: np.ndarray) -> Daily:
    """Sessions of one trade each, 100 USD an R."""
    usd = 100 * pnl_r
    return Daily(
        pnl_usd=usd,
        pnl_r=pnl_r,
        won_usd=np.maximum(usd, 0),
        lost_usd=np.maximum(-usd, 0),
        risked=np.ones(len(pnl_r), dtype=np.int64),
    )


def test_resamples_are_runs_of_sessions_around_a_circle_with_the_mean_length():
    """Of 400 x 100 draws about one in five begins a block, the others follow the one before."""
    drawn = resampled_sessions(100, 5.0, 400, np.random.default_rng(1))
    follows = (drawn[:, 1:] - drawn[:, :-1]) % 100 == 1
    assert drawn.shape == (400, 100)
    assert follows.mean() == pytest.approx(0.8 + 0.2 / 100, abs=0.01)
    assert np.bincount(drawn.ravel(), minlength=100) == pytest.approx(400, rel=0.4)


@pytest.mark.parametrize(("rho", "sessions"), [(0.0, 80), (0.0, 250), (0.3, 250)])
def test_the_interval_of_the_mean_covers_the_truth(rho: float, sessions: int):
    """Of 300 simulated series about 95 % contain the true mean 0: between 90 and 98 %."""
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(300):
        interval = mean_interval(autocorrelated(rng, sessions, rho), seed, resamples=500)
        assert interval is not None
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_blocks_are_longer_where_sessions_depend_on_each_other():
    """Independent values need blocks of about one session, a first-order autoregression of 0.6 several."""
    rng = np.random.default_rng(2)
    independent = np.median([block_sessions(rng.standard_normal(250)) for _ in range(30)])
    dependent = np.median([block_sessions(autocorrelated(rng, 250, 0.6)) for _ in range(30)])
    assert independent < 4 < dependent


def test_the_block_length_of_a_known_dependence_is_that_of_theory():
    """For an autoregression of rho, G = 2 rho / (1 - rho)^2 and g(0) = (1 + rho) / (1 - rho): (2 rho / (1 - rho^2))^2 n
    to the power of 1/3. At 0.5 and 4,000 values 19.2; the median of nine estimates comes to within a quarter."""
    rng = np.random.default_rng(12)
    found = np.median([block_sessions(autocorrelated(rng, 4_000, 0.5)) for _ in range(9)])
    assert found == pytest.approx((4 / 3) ** (2 / 3) * 4_000 ** (1 / 3), rel=0.25)


def test_blocks_are_never_longer_than_the_series_bears():
    """A wave that never ends depends on itself as far as one can see: three roots of 396 sessions, a third of 30."""
    assert block_sessions(np.tile([1.0, 1, 1, -1, -1, -1], 66)) == pytest.approx(3 * 396**0.5)
    assert block_sessions(np.tile([1.0, 1, 1, -1, -1, -1], 5)) == 10.0


def test_blocks_of_too_few_or_equal_sessions_are_single_ones():
    """Nothing can be seen of a dependence."""
    assert block_sessions(np.arange(19.0)) == 1.0
    assert block_sessions(np.ones(100)) == 1.0
    assert block_sessions(np.empty(0)) == 1.0


def test_the_same_seed_gives_the_same_intervals():
    """And another seed others."""
    series = daily(np.random.default_rng(8).normal(0.1, 1, 90))
    assert intervals(series, 4) == intervals(series, 4)
    assert intervals(series, 4).mean_r != intervals(series, 5).mean_r


def test_intervals_of_sharpe_and_sortino_need_sixty_sessions():
    """59 and 60."""
    series = np.random.default_rng(8).normal(0.1, 1, 60)
    short, enough = intervals(daily(series[:59]), 1), intervals(daily(series), 1)
    assert (short.sharpe, short.sortino) == (None, None)
    assert short.mean_r is not None
    assert enough.sharpe is not None
    assert enough.sortino is not None


def test_nineteen_sessions_have_no_interval_at_all():
    """Every field but those of the method is empty."""
    found = intervals(daily(np.ones(19)), 1)
    assert all(getattr(found, name) is None for name in found.__struct_fields__[3:])
    assert mean_interval(np.ones(19), 1) is None
    assert equity_band(np.ones(19), 1) is None


def test_every_interval_lies_around_its_figure():
    """Of a series with all figures: the point estimate is inside, totals are means times sessions."""
    values = np.random.default_rng(11).normal(0.1, 1, 120)
    found = intervals(daily(values), 1)
    around = {
        "mean_usd": 100 * values.mean(),
        "mean_r": values.mean(),
        "total_usd": 100 * values.sum(),
        "total_r": values.sum(),
        "sharpe": values.mean() / values.std(ddof=1) * 252**0.5,
        "sortino": values.mean() / np.sqrt((np.minimum(values, 0) ** 2).mean()) * 252**0.5,
        "profit_factor": values[values > 0].sum() / -values[values < 0].sum(),
        "expectancy_r": values.mean(),
    }
    for name, figure in around.items():
        interval = getattr(found, name)
        assert interval.low < figure < interval.high, name
    assert found.mean_r is not None
    assert found.total_r == Interval(
        low=pytest.approx(120 * found.mean_r.low), high=pytest.approx(120 * found.mean_r.high)
    )


def test_the_range_of_drawdowns_is_that_of_reshuffled_sessions():
    """For independent sessions: the quantiles over plain draws with replacement, by a loop of its own."""
    values = np.random.default_rng(3).standard_normal(60)
    rng, deepest = np.random.default_rng(9), []
    for _ in range(2_000):
        equity = peak = depth = 0.0
        for value in rng.choice(values, 60):
            equity += value
            peak = max(peak, equity)
            depth = max(depth, peak - equity)
        deepest.append(depth)
    found = intervals(daily(values), 1)
    assert found.block_sessions < 1.5
    assert found.drawdown_r is not None
    assert found.drawdown_r.low == pytest.approx(np.quantile(deepest, 0.025), rel=0.1)
    assert found.drawdown_r.high == pytest.approx(np.quantile(deepest, 0.975), rel=0.1)


def test_a_ratio_that_many_resamples_do_not_have_has_no_interval():
    """One loser in a hundred: a third of the resamples has none, and their profit factor no bound."""
    values = np.ones(100)
    values[40] = -1
    found = intervals(daily(values), 1)
    assert found.profit_factor is None
    assert found.mean_r is not None


def test_the_equity_band_ends_at_the_interval_of_the_total():
    """The last session's bounds are those of the sum."""
    series = daily(np.random.default_rng(8).normal(0.1, 1, 90))
    band, found = equity_band(series.pnl_r, 4), intervals(series, 4)
    assert band is not None
    assert found.total_r is not None
    assert (len(band.low), len(band.high)) == (90, 90)
    assert band.low[-1] == pytest.approx(found.total_r.low)
    assert band.high[-1] == pytest.approx(found.total_r.high)
