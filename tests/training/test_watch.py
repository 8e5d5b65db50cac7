"""What stops a training, and what it is told then."""

import msgspec
import pytest
import torch
from lesson_builders import a_learner, a_plan, learn

from trader.errors import TrainingStoppedError
from trader.training.learner import Learner, Update
from trader.training.watch import Watch

PLAN = a_plan("watch.collapse_share=0.9", "watch.collapse_updates=3").watch


@pytest.fixture(scope="module")
def learner() -> Learner:
    return a_learner()


@pytest.fixture(scope="module")
def update(learner) -> Update:
    return learn(learner, 1)[0]


def looked_at(update: Update, learner: Learner, shares: list[tuple[float, ...]]) -> Watch:
    watch = Watch(PLAN)
    for number, share in enumerate(shares, 1):
        watch.look(msgspec.structs.replace(update, number=number, entry_shares=share), learner.model)
    return watch


def test_watch_stops_when_one_action_has_had_nearly_everything_for_long(learner, update):
    """The message says which action, since when, why that happens and what to change."""
    with pytest.raises(TrainingStoppedError) as caught:
        looked_at(update, learner, [(0.5, 0.3, 0.2), *[(0.95, 0.05, 0.0)] * 3])
    said = str(caught.value)
    assert "update 4 (" in said
    assert "HOLD has 95.0%" in said
    assert "since update 2" in said
    assert "costs of every trade" in said
    assert "ppo.entropy_start" in said
    assert caught.value.exit_code == 1


def test_watch_of_a_policy_that_buys_only_names_that(learner, update):
    """Holding on to one side has another reason."""
    with pytest.raises(TrainingStoppedError, match=r"BUY has 99\.0%.*one side of the market"):
        looked_at(update, learner, [(0.01, 0.99, 0.0)] * 3)


@pytest.mark.parametrize(
    "shares",
    [
        [(0.95, 0.05, 0.0)] * 2,
        [(0.95, 0.05, 0.0), (0.95, 0.05, 0.0), (0.5, 0.5, 0.0), (0.95, 0.05, 0.0), (0.95, 0.05, 0.0)],
        [(0.95, 0.05, 0.0), (0.95, 0.05, 0.0), (0.05, 0.95, 0.0), (0.05, 0.95, 0.0)],
        [(0.9, 0.1, 0.0)] * 9,
    ],
)
def test_watch_lets_a_policy_go_on_that_is_not_one_sided_for_long(learner, update, shares):
    """Too few updates, a break between them, another action, or exactly the share that is allowed."""
    looked_at(update, learner, shares)


def test_watch_does_not_mind_that_positions_are_left_alone(learner, update):
    """HOLD is what is nearly always done in a position; only choices that allow an entry are judged."""
    watch = Watch(PLAN)
    for number in range(1, 10):
        held = msgspec.structs.replace(
            update, number=number, action_shares=(0.99, 0.005, 0.005), entry_shares=(0.3, 0.4, 0.3)
        )
        watch.look(held, learner.model)


def test_watch_stops_at_a_loss_that_is_no_number(learner, update):
    """It names the figure, and the keys that tame it."""
    broken = msgspec.structs.replace(update, losses=update.losses | {"train/value_loss": float("nan")})
    with pytest.raises(TrainingStoppedError, match=r"not finite: train/value_loss.*ppo\.learning_rate"):
        Watch(PLAN).look(broken, learner.model)


def test_watch_stops_at_a_weight_that_is_no_number(update):
    """Before it is saved anywhere."""
    broken = a_learner()
    with torch.no_grad():
        broken.model.policy.action_net.weight[0, 0] = float("inf")
    with pytest.raises(TrainingStoppedError, match=r"not finite: action_net\.weight"):
        Watch(PLAN).look(update, broken.model)
