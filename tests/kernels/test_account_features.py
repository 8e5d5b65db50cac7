"""The 13 account features, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trader.kernels import account_features
from trader.observation import FEATURES, INDEX, Group

ACCOUNT = [feature for feature in FEATURES if feature.group in {Group.POSITION, Group.RISK}]

FLAT = {
    "position_qty": 0,
    "entry_ticks": 0.0,
    "stop_ticks": 0.0,
    "target_ticks": 0.0,
    "bars_held": 0,
    "can_enter": True,
    "can_manage": False,
    "trailing": False,
    "close_ticks": 60_000.0,
    "atr_ticks": 20.0,
    "unrealized_cents": 0.0,
    "initial_risk_cents": 0.0,
    "drawdown_cents": 0.0,
    "trailing_limit_cents": 250_000.0,
    "streak": 0,
    "win_rate": 0.5,
    "mae_ticks": 0.0,
    "mfe_ticks": 0.0,
}
LONG = FLAT | {
    "position_qty": 1,
    "entry_ticks": 59_970.0,
    "stop_ticks": 59_940.0,
    "target_ticks": 60_060.0,
    "bars_held": 39,
    "can_enter": False,
    "can_manage": True,
    "unrealized_cents": 15_000.0,
    "initial_risk_cents": 30_000.0,
    "drawdown_cents": 50_000.0,
    "streak": 2,
    "win_rate": 0.4,
    "mae_ticks": 10.0,
    "mfe_ticks": 40.0,
}
SHORT = LONG | {"position_qty": -1, "entry_ticks": 60_030.0, "stop_ticks": 60_060.0, "target_ticks": 59_940.0}


def _written(case: dict[str, float]) -> NDArray[np.float32]:
    obs = np.full(261, 77.0, dtype=np.float32)
    account_features.write(obs, *case.values())
    return obs


def _value(name: str, case: dict[str, float]) -> float:
    return float(_written(case)[INDEX[name]])


def test_write_touches_its_own_features_only() -> None:
    """All 13 of the account and none of the market."""
    for case in (FLAT, LONG):
        obs = _written(case)
        assert np.flatnonzero(obs != 77.0).tolist() == [feature.index for feature in ACCOUNT]


def test_write_of_a_flat_account_is_neutral() -> None:
    """Nothing of an earlier trade remains: no position, no distances, no excursions; the win rate is 0.5."""
    stale = FLAT | {"bars_held": 9, "trailing": True, "unrealized_cents": 5.0, "mae_ticks": 3.0, "mfe_ticks": 1.0}
    for case in (FLAT, stale):
        assert _written(case)[220:228].tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
        assert _written(case)[256:261].tolist() == [0, 0, 0, 0.5, 0.5]


@pytest.mark.parametrize(("case", "sign"), [(LONG, 1.0), (SHORT, -1.0)], ids=["long", "short"])
def test_write_of_a_position_marks_it_at_the_close(case: dict[str, float], sign: float) -> None:
    """30 ticks ahead and 60 from stop and target at an ATR of 20; half an R; a fifth of the limit; MAE 10 of 50."""
    obs = _written(case)
    assert obs[220:228] == pytest.approx([sign, 1.5, 3.0, 3.0, 0.1, 0.0, 1.0, 0.0])
    assert obs[256:261] == pytest.approx([0.5, 0.2, 0.4, 0.4, 0.2])


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("entry_distance", {"entry_ticks": 59_000.0}, 10.0),
        ("entry_distance", {"entry_ticks": 61_000.0}, -10.0),
        ("stop_distance", {"stop_ticks": 59_000.0}, 10.0),
        ("stop_distance", {"stop_ticks": 60_001.0}, 0.0),
        ("stop_distance", {"stop_ticks": 0.0}, 10.0),
        ("stop_distance", {"stop_ticks": 0.0, "position_qty": -1}, 10.0),
        ("target_distance", {"target_ticks": 62_000.0}, 20.0),
        ("target_distance", {"target_ticks": 0.0}, 20.0),
        ("bars_in_position", {"bars_held": 390}, 1.0),
        ("bars_in_position", {"bars_held": 1_000}, 1.0),
        ("trailing", {"trailing": True}, 1.0),
        ("unrealized_pnl", {"unrealized_cents": -200_000.0}, -5.0),
        ("unrealized_pnl", {"initial_risk_cents": 0.0}, 5.0),
        ("unrealized_pnl", {"initial_risk_cents": 0.0, "unrealized_cents": -1.0}, -5.0),
        ("unrealized_pnl", {"initial_risk_cents": 0.0, "unrealized_cents": 0.0}, 0.0),
        ("drawdown", {"drawdown_cents": 300_000.0}, 1.0),
        ("drawdown", {"trailing_limit_cents": 0.0}, 1.0),
        ("drawdown", {"trailing_limit_cents": 0.0, "drawdown_cents": 0.0}, 0.0),
        ("consecutive_losses", {"streak": 5}, 1.0),
        ("consecutive_losses", {"streak": 9}, 1.0),
        ("mae_mfe_ratio", {"mae_ticks": 0.0, "mfe_ticks": 0.0}, 0.5),
        ("mae_mfe_ratio", {"mae_ticks": 4.0, "mfe_ticks": 0.0}, 1.0),
    ],
)
def test_write_at_an_edge_gives_the_bound_or_the_neutral_value(
    name: str, change: dict[str, float], expected: float
) -> None:
    """Clips, divisions by nothing, and a position whose stop or target is missing."""
    assert _value(name, LONG | change) == expected


@given(data=st.data())
def test_write_of_any_account_stays_finite_and_inside_the_clips(data: st.DataObject) -> None:
    """Whatever the book says, the policy gets numbers inside the table's bounds."""
    price = st.integers(0, 400_000).map(float)
    money = st.integers(-(10**9), 10**9).map(float)
    case = {
        "position_qty": data.draw(st.integers(-3, 3)),
        "entry_ticks": data.draw(price),
        "stop_ticks": data.draw(price),
        "target_ticks": data.draw(price),
        "bars_held": data.draw(st.integers(0, 10_000)),
        "can_enter": data.draw(st.booleans()),
        "can_manage": data.draw(st.booleans()),
        "trailing": data.draw(st.booleans()),
        "close_ticks": data.draw(price),
        "atr_ticks": data.draw(st.floats(1.0, 5_000.0)),
        "unrealized_cents": data.draw(money),
        "initial_risk_cents": abs(data.draw(money)),
        "drawdown_cents": abs(data.draw(money)),
        "trailing_limit_cents": abs(data.draw(money)),
        "streak": data.draw(st.integers(0, 50)),
        "win_rate": data.draw(st.floats(0.0, 1.0)),
        "mae_ticks": abs(data.draw(price)),
        "mfe_ticks": abs(data.draw(price)),
    }
    obs = _written(case)
    for feature in ACCOUNT:
        assert np.isfinite(obs[feature.index])
        assert feature.low <= obs[feature.index] <= feature.high
