"""The search of fusion bounds, on worths that are made up."""

from collections.abc import Mapping

from trader.analysis.fit import GRID, Worth, search
from trader.learning import Thresholds

IN_FORCE = Thresholds(override_high=0.9, uncertain_below=0.5)
LOW = Thresholds(override_high=0.8, uncertain_below=0.5)
HIGH = Thresholds(override_high=0.95, uncertain_below=0.5)
FAR = Thresholds(override_high=0.8, uncertain_below=0.4)


def worth(mean_r: float | None, trades: int = 100) -> Worth:
    return Worth(trades=trades, mean_r=mean_r, questions=10, stood_in=0, missing=0)


class Market:
    """Worth by what is in force in the trend up alone, unless told otherwise; remembers what was tried."""

    def __init__(self, up: dict[Thresholds, Worth], down: float = 0.0) -> None:
        self.up = up
        self.down = down
        self.seen: list[Mapping[int, Thresholds]] = []

    def __call__(self, thresholds: Mapping[int, Thresholds]) -> Worth:
        self.seen.append(dict(thresholds))
        found = self.up.get(thresholds[1], worth(0.1))
        gained = self.down if thresholds[-1] == LOW else 0.0
        return found if found.mean_r is None else worth(found.mean_r + gained, found.trades)


def test_search_keeps_the_bounds_in_force_where_nothing_is_better():
    """All alike: a tie is theirs, in every regime."""
    found = search(IN_FORCE, Market({}))
    assert found.thresholds == {-1: IN_FORCE, 0: IN_FORCE, 1: IN_FORCE}
    assert found.before == found.after == worth(0.1)


def test_search_tries_the_grid_in_each_regime_with_what_was_found_before():
    """24 other points three times, and the bounds in force once; the trend down's find stays in the rest."""
    market = Market({HIGH: worth(0.3)}, down=0.05)
    found = search(IN_FORCE, market)
    assert found.thresholds == {-1: LOW, 0: IN_FORCE, 1: HIGH}
    assert len(market.seen) == 1 + 3 * 24
    assert len(found.tried) == 3 * 24
    assert {one[-1] for one in market.seen[-24:]} == {LOW}
    assert found.after == worth(0.35)
    assert found.before == worth(0.1)


def test_search_takes_the_nearest_of_those_that_are_equally_better():
    """Nearer to the bounds in force, whatever the grid's order."""
    found = search(IN_FORCE, Market({FAR: worth(0.3), LOW: worth(0.3), HIGH: worth(0.3)}), (FAR, LOW, HIGH))
    assert found.thresholds[1] == HIGH


def test_search_is_not_moved_by_rounding():
    """A difference in the last bits of a sum is none."""
    assert search(IN_FORCE, Market({HIGH: worth(0.1 + 1e-12)})).thresholds[1] == IN_FORCE


def test_search_does_not_fall_for_a_few_lucky_trades():
    """Bounds with less than half of the trades have proved less, however good their mean."""
    assert search(IN_FORCE, Market({HIGH: worth(2.0, trades=49)})).thresholds[1] == IN_FORCE
    assert search(IN_FORCE, Market({HIGH: worth(2.0, trades=50)})).thresholds[1] == HIGH


def test_search_takes_bounds_that_trade_over_those_that_never_do():
    """No trades have no mean; any that came to something are better, and none is never better."""
    market = Market({IN_FORCE: worth(None, trades=0), HIGH: worth(-0.2, trades=3)})
    assert search(IN_FORCE, market, (HIGH,)).thresholds[1] == HIGH
    assert search(IN_FORCE, Market({HIGH: worth(None, trades=0)}), (HIGH,)).thresholds[1] == IN_FORCE


def test_search_tries_the_whole_grid_around_bounds_that_are_not_on_it():
    """The user's own stay the ones to beat."""
    own = Thresholds(override_high=0.87, uncertain_below=0.52)
    found = search(own, Market({}))
    assert found.thresholds == {-1: own, 0: own, 1: own}
    assert len(found.tried) == 3 * len(GRID) == 75
