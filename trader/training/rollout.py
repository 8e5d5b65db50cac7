"""One account over a whole tape, by the kernels alone: the same trades as a backtest, in a fraction of its time.

For the validation of a training, for hundreds of random baselines, and for what a vetoed entry would have made. Imports
no torch.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.domain.orders import ExitReason
from trader.errors import InvariantError
from trader.kernels import book, layout, rules, training
from trader.training.ground import ALL_ACTIONS, Ground, new_fleet, unscaled

Choose = Callable[[NDArray[np.float32], int], int]
"""From the observation [261], read-only and not scaled, and the mask to an action."""

REASONS = {
    layout.STOP: ExitReason.STOP,
    layout.TARGET: ExitReason.TARGET,
    layout.BREAK_EVEN: ExitReason.BREAK_EVEN,
    layout.TRAIL: ExitReason.TRAIL,
    layout.ENTRY_BEYOND_STOP: ExitReason.ENTRY_BEYOND_STOP,
    layout.FLAT_AT: ExitReason.FLAT_AT,
    layout.FORCED_CLOSE: ExitReason.FORCED_CLOSE,
    layout.ROLL: ExitReason.ROLL,
    layout.TRAILING_BREACH: ExitReason.TRAILING_BREACH,
    layout.DAILY_LOSS: ExitReason.DAILY_LOSS,
}
"""The kernel's numbers of exits, by name."""


class Trades(Struct, frozen=True, kw_only=True, eq=False):
    """n round trips in the order of their ends, a column a fact; prices in ticks, money in cents, times in ns UTC.

    `opened_bar` is the bar of the entry's fill, `closed_bar` that of the exit's. MAE and MFE are ticks, not below 0, of
    the closed bars in which the trade was held and of its exit price. `reason` are keys of REASONS.
    """

    opened_bar: NDArray[np.int64]
    closed_bar: NDArray[np.int64]
    opened_ns: NDArray[np.int64]
    closed_ns: NDArray[np.int64]
    side: NDArray[np.int64]
    entry_ticks: NDArray[np.int64]
    exit_ticks: NDArray[np.int64]
    pnl_cents: NDArray[np.int64]
    optimistic_pnl_cents: NDArray[np.int64]
    risk_cents: NDArray[np.int64]
    mae_ticks: NDArray[np.int64]
    mfe_ticks: NDArray[np.int64]
    reason: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.side)

    @property
    def net_r(self) -> NDArray[np.float64]:
        """Net result of each trade over its initial risk."""
        return self.pnl_cents / self.risk_cents


class Rollout(Struct, frozen=True, kw_only=True, eq=False):
    """How one account fared. `daily_cents` and `daily_r` [S] are net by the session of the entry's fill, sessions
    without a trade are zeros. `actions` counts choices by action, those that the review blocked included."""

    trades: Trades
    daily_cents: NDArray[np.int64]
    daily_r: NDArray[np.float64]
    accounts_used: int
    actions: tuple[int, ...]


def follow(ground: Ground, choose: Choose, *, full: bool = True, actions: int = ALL_ACTIONS) -> Rollout:
    """Trade the whole tape with `choose`, asked wherever it has a real choice; the advisor is off.

    `full` is False for a policy of 228 inputs (it may trade earlier), `actions` has the bits of those that it knows.
    """
    fleet = new_fleet(ground, 1, trades=len(ground.tape))
    world = ground.world(unscaled(), actions=actions, full=full)
    obs = fleet.seen[0].view()
    obs.flags.writeable = False  # as the engine shows it: numba compiles read-only arrays apart
    counts = [0] * 6
    training.open_accounts(world, fleet)
    action = layout.HOLD
    while training.run_on(world, 0, fleet, action) == training.RUNNING:
        mask = int(fleet.plans[0, layout.MASK]) & actions
        action = choose(obs, mask)
        if not mask >> action & 1:
            msg = f"action {action} was chosen at bar {fleet.plans[0, layout.AT]}, which its mask {mask} forbids"
            raise InvariantError(msg)
        counts[action] += 1
    return _rollout(ground, fleet, tuple(counts))


def follow_planned(
    ground: Ground,
    wanted: NDArray[np.int8],
    *,
    draws: NDArray[np.float32] | None = None,
    manage_rates: tuple[float, float, float] = (0.0, 0.0, 0.0),
    full: bool = True,
) -> Rollout:
    """Trade the whole tape by plan: enter the side `wanted` [T] (1, -1, 0 none) at a close where that is valid and no
    rule blocks it; take MOVE_TO_BE, ENABLE_TRAIL, DISABLE_TRAIL where valid with `manage_rates`, by the uniform numbers
    `draws` [T]."""
    if wanted.shape != (len(ground.tape),):
        msg = f"a plan for {len(wanted)} bars was given for {len(ground.tape)}"
        raise InvariantError(msg)
    fleet = new_fleet(ground, 1, trades=int(np.count_nonzero(wanted)))
    luck = np.zeros(len(wanted), dtype=np.float32) if draws is None else draws
    training.run_planned(ground.world(unscaled(), full=full), fleet, wanted, luck, np.array(manage_rates))
    return _rollout(ground, fleet, ())


def shadow_trades(ground: Ground, bars: NDArray[np.int64], sides: NDArray[np.int64]) -> Trades:
    """What an entry at the close of each of `bars` would have made with its bracket left alone, no rule in force.

    An entry that could not have been filled (a halt, a roll or the end followed) has `risk_cents` 0.
    """
    free = ground.limits.copy()
    free[rules.IN_USE] = free[rules.FLATTENING] = 0
    free[rules.MIN_STOP] = 0
    free[rules.SESSION_TRADES_MAX] = 1e9
    free[rules.COOLDOWN_NS] = -1e18
    alone = msgspec.structs.replace(ground, limits=free)
    fleet = new_fleet(alone, 1, trades=1)
    world = alone.world(unscaled(), full=True)
    rows = np.zeros((len(bars), layout.TRADE_SIZE), dtype=np.int64)
    for i, (t, side) in enumerate(zip(bars.tolist(), sides.tolist(), strict=True)):
        training.run_alone(world, fleet, t, side)
        if fleet.plans[0, layout.TRADES]:
            rows[i] = fleet.trades[0, 0]
    return _trades(ground, rows)


def _trades(ground: Ground, rows: NDArray[np.int64]) -> Trades:
    opened = rows[:, layout.OPENED_BAR]
    return Trades(
        opened_bar=opened,
        closed_bar=rows[:, layout.CLOSED_BAR],
        opened_ns=ground.tape.bars.bars[opened, layout.OPENS_NS],
        closed_ns=rows[:, layout.CLOSED_NS],
        side=rows[:, layout.SIDE],
        entry_ticks=rows[:, layout.ENTRY_TICKS],
        exit_ticks=rows[:, layout.EXIT_TICKS],
        pnl_cents=rows[:, layout.PNL_CENTS],
        optimistic_pnl_cents=rows[:, layout.OPTIMISTIC_PNL_CENTS],
        risk_cents=rows[:, layout.RISK_CENTS],
        mae_ticks=rows[:, layout.MAE_TICKS],
        mfe_ticks=rows[:, layout.MFE_TICKS],
        reason=rows[:, layout.REASON],
    )


def _rollout(ground: Ground, fleet: training.Fleet, actions: tuple[int, ...]) -> Rollout:
    count = int(fleet.plans[0, layout.TRADES])
    trades = _trades(ground, fleet.trades[0, :count].copy())
    session = ground.tape.session_of[trades.opened_bar]
    sessions = len(ground.tape.session_dates)
    if int(trades.pnl_cents.sum()) != int(fleet.books[0, book.REALIZED]):
        msg = "the trades of a rollout do not add up to what its account has realised"
        raise InvariantError(msg)
    return Rollout(
        trades=trades,
        daily_cents=np.bincount(session, trades.pnl_cents, sessions).astype(np.int64),
        daily_r=np.bincount(session, trades.net_r, sessions).astype(np.float64),
        accounts_used=int(fleet.plans[0, layout.ACCOUNTS]),
        actions=actions,
    )
