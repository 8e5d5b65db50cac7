"""From a closed bar to a look."""

import numpy as np
import pytest
from line_builders import WARM_UP_BARS, Drive
from line_fakes import FakeAdvisor

from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.decisions import NotAsked, Proposal, Trigger
from trader.errors import StrategyError
from trader.kernels.market import BASE_FULL_BARS
from trader.pipeline import Look

ADVISED = "advisor.backend=rules"


def look_at(drive: Drive, propose: Action = Action.HOLD, confidence: float = 1.0, *, is_open: bool = True) -> Look:
    """What the pipeline makes of the next quiet bar, past the engine."""
    bar: Bar = drive.shape(None, None, None, None)
    drive.strategy.next = Proposal(propose, confidence)
    drive.now_ns = bar.ts_close_ns
    return drive.parts.pipeline.look(bar, drive.session, entries_open=is_open, halted=not is_open)


def test_look_numbers_the_bars_and_carries_their_distances() -> None:
    """The seq goes on from the engine's bars; an entry here would have its stop 30 ticks away."""
    drive = Drive().warm()
    look = look_at(drive)

    assert (look.seq, look.close_ticks) == (WARM_UP_BARS, 48_000)
    assert (look.stop_distance_ticks, look.target_distance_ticks) == (30, 90)
    assert (look.forced, look.question, look.not_asked, look.triggers) == (False, None, NotAsked.OFF, ())


def test_look_is_forced_where_only_hold_is_valid() -> None:
    """One bit in the mask."""
    look = look_at(Drive().warm(), is_open=False)

    assert (look.outlook.mask, look.forced) == (1, True)


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.HOLD])
def test_look_refuses_a_proposal_outside_the_mask(action: Action) -> None:
    """The error names strategy, action and bar; no advice and no risk rule comes to its rescue."""
    drive = Drive().warm()
    if action in {Action.BUY, Action.SELL}:
        drive.enter()

    with pytest.raises(StrategyError, match=rf"'flat' proposed {action.name} at bar {len(drive.records())}\b"):
        drive.bar(action)


@pytest.mark.parametrize(
    ("proposed", "fault"),
    [
        (None, "returned None, which is no Proposal"),
        (Proposal(1, 0.9), "proposed 1, which is no Action"),  # type: ignore[arg-type] # BUY, as a number
        (Proposal(Action.BUY, float("nan")), "is confident to nan"),
        (Proposal(Action.BUY, 80), "is confident to 80"),
        (Proposal(Action.BUY, -0.1), "is confident to -0.1"),
        (Proposal(Action.BUY, np.float32(0.5)), "is confident to"),  # type: ignore[arg-type] # no record can hold it
        (Proposal(Action.BUY, 0.5, (0.5, 0.5)), "gives 2 probabilities"),
    ],
)
def test_look_refuses_what_is_no_proposal(proposed: Proposal, fault: str) -> None:
    """A user's strategy is not type checked: a plain 1 for BUY must not be taken for anything else."""
    drive = Drive().warm()
    drive.strategy.next = proposed

    with pytest.raises(StrategyError, match=rf"^strategy 'flat' at bar {WARM_UP_BARS} {fault}"):
        drive.feed(drive.shape(None, None, None, None))


def test_look_shows_an_observation_that_nobody_can_change() -> None:
    """The window of the next bar is this one's, moved on: a strategy that scales it in place would blind the line."""
    obs = look_at(Drive().warm()).outlook.obs

    with pytest.raises(ValueError, match="read-only"):
        obs *= 2


def test_look_is_ready_at_the_bar_that_fills_the_last_window() -> None:
    """Not one bar earlier: no entry before."""
    drive = Drive("execution.entry_window=all").skip_to("01:00")
    records = [drive.bar() for _ in range(BASE_FULL_BARS)]

    assert [record.features.ready for record in records[-2:]] == [False, True]
    assert [record.rl.mask[Action.BUY] for record in records[-2:]] == [0, 1]
    assert records[-2].query.skipped_because == "off"


@pytest.mark.parametrize(
    ("reason", "prepare"),
    [
        (NotAsked.NOT_READY, lambda: (Drive(ADVISED, advisor=FakeAdvisor()).skip_to("09:40"), True)),
        (NotAsked.HALTED, lambda: (Drive(ADVISED, advisor=FakeAdvisor()).warm(), False)),
        (NotAsked.OFF, lambda: (Drive().warm(), True)),
    ],
)
def test_look_says_why_nobody_is_asked(reason: NotAsked, prepare) -> None:  # type: ignore[no-untyped-def] # a pair
    """A reason where there is no question."""
    drive, is_open = prepare()

    look = look_at(drive, is_open=is_open)

    assert (look.not_asked, look.question) == (reason, None)


def test_look_asks_with_its_triggers_and_without_the_proposal() -> None:
    """The question is about market and account; what the strategy wants is not in it."""
    drive = Drive(ADVISED, "fusion.query_interval=100", advisor=FakeAdvisor()).warm()
    for _ in range(4):
        drive.bar()
    look = look_at(drive, Action.BUY, 0.4)

    assert look.triggers == (Trigger.LOW_CONFIDENCE, Trigger.ENTRY)
    question = look.question
    assert question is not None
    assert (question.seq, question.mask, question.position_qty, question.price) == (look.seq, 0b111, 0, 12_000.0)
    assert look.not_asked is None


def test_mask_now_follows_the_book_and_not_the_look() -> None:
    """What has changed since the look counts; readiness and the window come from the caller."""
    drive = Drive().warm()
    pipeline, book = drive.parts.pipeline, drive.parts.book
    looked = look_at(drive).outlook.mask
    book.set_working(on=True)
    working = pipeline.mask_now(48_000, ready=True, entries_open=True)
    book.set_working(on=False)

    assert (looked, working) == (0b111, 1)
    assert pipeline.mask_now(48_000, ready=True, entries_open=True) == 0b111
    assert pipeline.mask_now(48_000, ready=False, entries_open=True) == 1
    assert pipeline.mask_now(48_000, ready=True, entries_open=False) == 1


def test_look_tells_that_the_trail_has_moved_the_stop() -> None:
    """Only at bars that pulled it."""
    drive = Drive().warm()
    drive.enter()
    drive.climb(4)
    drive.bar(Action.MOVE_TO_BE)
    drive.climb(1, propose=Action.ENABLE_TRAIL)
    drive.level += 10
    pulled = look_at(drive)
    again = look_at(drive)

    assert (pulled.stop_trailed, again.stop_trailed) == (True, False)
    assert pulled.outlook.account.stop_ticks - 48_000 == pulled.close_ticks - 48_000 - 20


def test_look_without_volume_is_no_zero_volume() -> None:
    """A bar whose source has no volume, and one in which nobody traded, are different observations."""
    with_zero, without = Drive().warm(), Drive().warm()
    for drive, volume in ((with_zero, 0), (without, None)):
        bar = drive.shape(None, None, None, None)
        drive.feed(Bar(bar.ts_open_ns, bar.ts_close_ns, bar.symbol, bar.open, bar.high, bar.low, bar.close, volume))

    assert with_zero.strategy.obs.tolist() != without.strategy.obs.tolist()
    assert (with_zero.records()[-1].bar.v, without.records()[-1].bar.v) == (0, None)
