"""Weights that follow losses: what they must be, and that no losses make them regret more than the bound."""

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.advisor.hedge import ByRegime, FixedShare, HedgeRules, HedgeState, capped, extra_loss
from trader.errors import InvariantError

Losses = tuple[float | None, ...]
SHIPPED = HedgeRules(start=(0.7, 0.3), learning_rate=0.05, share=0.001)


def rules(start: Sequence[float] = (0.7, 0.3), learning_rate: float = 0.5, share: float = 0.0) -> HedgeRules:
    return HedgeRules(start=tuple(start), learning_rate=learning_rate, share=share)


class Game:
    """Plays rounds against a learner, each round's losses reaching it `delay` rounds later, and keeps the accounts."""

    def __init__(self, made: HedgeRules) -> None:
        self.rules = made
        self.learner = FixedShare(made)
        self.regret = [0.0] * len(made.start)
        self.rounds = [0] * len(made.start)
        self.overtaken = 0  # updates that came between a round's mix and its own update, in all
        self.loss = 0.0
        self._late: list[tuple[int, int, Losses]] = []
        self._updates = 0
        self._now = 0

    def play(self, losses: Losses, delay: int = 0) -> None:
        awake = [loss is not None for loss in losses]
        if any(awake):
            own = sum(weight * (loss or 0.0) for weight, loss in zip(self.learner.mix(awake), losses, strict=True))
            self.loss += own
            for i, loss in enumerate(losses):
                if loss is not None:
                    self.regret[i] += own - loss
                    self.rounds[i] += 1
            self._late.append((self._now + delay, self._updates, losses))
        self._now += 1
        self.deliver(self._now)

    def deliver(self, until: float = math.inf) -> None:
        due = [one for one in self._late if one[0] < until]
        self._late = [one for one in self._late if one[0] >= until]
        for _, seen, losses in due:
            self.learner.update(losses)
            self.overtaken += self._updates - seen
            self._updates += 1

    def bound(self, expert: int) -> float:
        """The regret that theory allows, late updates included."""
        eta, share, rounds = self.rules.learning_rate, self.rules.share, self.rounds[expert]
        late = self.overtaken * (math.tanh(eta / 4) + share)
        shared = rounds * -math.log1p(-share) / eta
        return -math.log(self.rules.start[expert]) / eta + eta * rounds / 8 + shared + late

    def keeps_its_bounds(self) -> bool:
        return all(self.regret[i] <= self.bound(i) + 1e-9 for i in range(len(self.regret)))


STARTS = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5).map(lambda parts: tuple(p / sum(parts) for p in parts))
LOSS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
RATES = st.sampled_from([0.01, 0.05, 0.3, 1.0, 4.0])


@given(st.data(), STARTS, RATES, st.sampled_from([0.0, 0.001, 0.1, 0.9]))
def test_regret_to_every_expert_stays_below_the_bound_with_sleepers(data, start, rate, share):
    """Any losses, anybody asleep at any time, any start: over the rounds in which an expert was awake."""
    game = Game(rules(start, rate, share))
    rounds = st.tuples(*[st.one_of(st.none(), LOSS) for _ in start])
    for losses in data.draw(st.lists(rounds, max_size=60)):
        game.play(losses)
    assert game.keeps_its_bounds()


@given(st.lists(st.tuples(LOSS, st.one_of(st.none(), LOSS), st.integers(0, 20)), max_size=80), RATES, st.booleans())
def test_regret_of_two_experts_stays_below_the_bound_with_late_outcomes(rounds, rate, is_shared):
    """The strategy is always awake, the advisor where it was asked; outcomes come in any order."""
    game = Game(rules(learning_rate=rate, share=0.01 if is_shared else 0.0))
    for rl, llm, delay in rounds:
        game.play((rl, llm), delay)
    game.deliver()
    assert game.keeps_its_bounds()


def alternating() -> Iterator[Losses]:
    yield from ((float(t % 2), float(1 - t % 2)) for t in range(3_000))


def first_always_right() -> Iterator[Losses]:
    yield from ((0.0, 1.0) for _ in range(3_000))


def right_then_wrong() -> Iterator[Losses]:
    yield from ((0.0, 1.0) if t < 1_500 else (1.0, 0.0) for t in range(3_000))


def all_lose() -> Iterator[Losses]:
    yield from ((1.0, 1.0) for _ in range(3_000))


def long_sleeps() -> Iterator[Losses]:
    yield from ((0.5, None if t % 500 < 450 else float(t % 3 == 0)) for t in range(3_000))


SEQUENCES = [alternating, first_always_right, right_then_wrong, all_lose, long_sleeps]


@pytest.mark.parametrize("delay", [0, 30])
@pytest.mark.parametrize("made", [rules(), rules(learning_rate=0.05), SHIPPED], ids=["fast", "slow", "shipped"])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_regret_stays_below_the_bound_on_adversarial_sequences(
    sequence: Callable[[], Iterator[Losses]], made: HedgeRules, delay: int
) -> None:
    """Alternating, one expert always right, right and then wrong, all lose, long sleeps; at once and 30 bars late."""
    game = Game(made)
    for losses in sequence():
        game.play(losses, delay)
    game.deliver()
    assert game.keeps_its_bounds()


@pytest.mark.parametrize("rate", [0.05, 0.5, 2.0])
def test_regret_stays_below_the_bound_against_an_adversary_who_sees_the_weights(rate: float):
    """Whoever weighs more loses the round: the worst that losses of 0 and 1 can do to two experts."""
    game = Game(rules((0.5, 0.5), rate))
    for _ in range(2_000):
        first, second = game.learner.weights()
        game.play((1.0, 0.0) if first >= second else (0.0, 1.0))
    assert game.keeps_its_bounds()
    assert max(game.regret) > 0.2 * max(game.bound(0), game.bound(1))


def test_learner_follows_a_switch_within_the_switching_bound():
    """Three experts are right in turn, 400 rounds each; with a share the learner follows, without one it cannot."""
    eta, share, turns, length = 0.5, 0.01, 9, 400
    losses = {}
    for made in (rules((0.2, 0.3, 0.5), eta, share), rules((0.2, 0.3, 0.5), eta)):
        game = Game(made)
        for t in range(turns * length):
            right = t // length % 3
            game.play(tuple(0.0 if i == right else 1.0 for i in range(3)))
        losses[made.share] = game.loss
    changes = [made.start[turn % 3] for turn in range(1, turns)]
    stays = turns * length - len(changes)
    start_and_changes = -math.log(0.2) - sum(math.log(share * weight) for weight in changes)
    bound = (start_and_changes - stays * math.log1p(-share)) / eta + eta * turns * length / 8
    assert losses[share] <= bound
    assert losses[share] < 0.2 * losses[0.0]


def test_one_update_moves_the_weights_as_the_papers_say():
    """By hand: losses 1 and 0 at eta ln 2 halve 0.75 against 0.25 to 0.6 and 0.4; a share of 0.1 moves back by it."""
    by_loss = FixedShare(rules((0.75, 0.25), math.log(2)))
    by_loss.update((1.0, 0.0))
    assert by_loss.weights() == pytest.approx((0.6, 0.4))
    shared = FixedShare(rules((0.75, 0.25), math.log(2), 0.1))
    shared.update((1.0, 0.0))
    assert shared.weights() == pytest.approx((0.9 * 0.6 + 0.1 * 0.75, 0.9 * 0.4 + 0.1 * 0.25))


def test_sleeper_keeps_its_weight_and_the_awake_share_theirs():
    """Three experts, the last asleep: the first two have 0.5 together before and after."""
    learner = FixedShare(rules((0.3, 0.2, 0.5), math.log(3), 0.1))
    learner.update((1.0, 0.0, None))
    # by loss 0.3 / 3 : 0.2 = 1 : 2 of 0.5; then a tenth of 0.5 back as 3 : 2
    assert learner.weights() == pytest.approx((0.9 / 6 + 0.03, 0.9 / 3 + 0.02, 0.5))
    assert learner.mix((True, False, True)) == pytest.approx((0.18 / 0.68, 0.0, 0.5 / 0.68))


def test_expert_who_is_awake_alone_gains_and_loses_nothing():
    """The strategy alone, ten thousand losses long: nothing is known of the advisor."""
    learner = FixedShare(SHIPPED)
    for _ in range(10_000):
        learner.update((1.0, None))
    assert learner.weights() == pytest.approx((0.7, 0.3))


@pytest.mark.parametrize("made", [SHIPPED, rules(learning_rate=10.0), rules((0.2, 0.3, 0.5), 10.0, 0.5)])
def test_weights_stay_finite_positive_and_in_sum_one_over_a_hundred_thousand_rounds(made: HedgeRules):
    """One expert wrong 60,000 times, then right: rounding neither piles up nor takes a weight away."""
    learner = FixedShare(made)
    others = (0.0,) * (len(made.start) - 1)
    for t in range(100_000):
        learner.update((1.0, *others) if t < 60_000 else (0.0, *(1.0 for _ in others)))
        if t % 997 == 0:
            weights = learner.weights()
            assert all(0.0 < weight <= 1.0 + 1e-9 for weight in weights)
            assert math.fsum(weights) == pytest.approx(1.0, rel=1e-13)
    # without a share the first is still 20,000 losses behind; with one it has come back long ago
    assert (learner.weights()[0] > 0.5) is (made.share > 0)


def test_weight_too_small_for_a_float_is_not_lost():
    """Wrong 500 times at a rate of 10 leaves exp(-5000); right 501 times, the expert has it all back."""
    learner = FixedShare(rules((0.5, 0.5), 10.0))
    for t in range(1_001):
        learner.update((1.0, 0.0) if t < 500 else (0.0, 1.0))
    assert learner.weights()[0] == pytest.approx(1.0 / (1.0 + math.exp(-10.0)))


@given(st.lists(st.tuples(LOSS, st.one_of(st.none(), LOSS), st.sampled_from([-1, 0, 1])), max_size=60), st.integers(0))
def test_restored_learner_goes_on_to_the_same_weights(rounds, at):
    """Kept as JSON after any round: the same to the last bit, in every regime."""
    learner = other = ByRegime(SHIPPED)
    for n, (rl, llm, regime) in enumerate(rounds):
        learner.update(regime, (rl, llm))
        if other is not learner:
            other.update(regime, (rl, llm))
        if n == at % len(rounds):
            other = ByRegime(SHIPPED)
            other.restore(msgspec.json.decode(msgspec.json.encode(learner.state()), type=HedgeState))
    assert other.state() == learner.state()


def test_each_regime_learns_from_its_own_outcomes():
    """The advisor is right in rising markets only; elsewhere the start stands."""
    learner = ByRegime(SHIPPED)
    for _ in range(100):
        learner.update(1, (1.0, 0.0))
    assert learner.weights(1)[1] > 0.9
    assert learner.weights(0) == learner.weights(-1) == pytest.approx((0.7, 0.3))
    assert learner.mix(1, (True, False)) == (1.0, 0.0)


def test_cap_gives_what_it_cuts_to_the_others_in_proportion():
    """0.8 at most 0.5: the rest go from 0.05 and 0.15 to 0.125 and 0.375; below the cap nothing changes."""
    assert capped((0.05, 0.8, 0.15), 1, 0.5) == pytest.approx((0.125, 0.5, 0.375))
    assert capped((0.7, 0.3), 1, 0.5) == (0.7, 0.3)
    assert capped((0.0, 1.0), 1, 0.5) == (0.0, 1.0)


def test_cost_of_a_cap_is_what_the_capped_mix_lost_more():
    """Of 0.8 for the one who was right only 0.5 was used: 0.3 lost; where they were wrong, 0.3 saved."""
    learned = (0.2, 0.8)
    taken = capped(learned, 1, 0.5)
    assert extra_loss(taken, learned, (1.0, 0.0)) == pytest.approx(0.3)
    assert extra_loss(taken, learned, (0.0, 1.0)) == pytest.approx(-0.3)
    assert extra_loss((1.0, 0.0), (1.0, 0.0), (1.0, None)) == 0.0


@pytest.mark.parametrize("losses", [(1.5, 0.0), (-0.1, None), (math.nan, 0.0), (0.0,), (0.0, 0.0, 0.0)])
def test_loss_outside_its_range_is_refused(losses: Losses):
    """The bound holds for losses in [0, 1]; another is a mistake of this program."""
    with pytest.raises(InvariantError, match=r"not 2 numbers within \[0, 1\]"):
        FixedShare(SHIPPED).update(losses)


@pytest.mark.parametrize(
    "made", [rules((1.0, 0.0)), rules((0.7, 0.2)), rules(learning_rate=0.0), rules(share=1.0), rules(share=-0.1)]
)
def test_rules_that_the_bound_does_not_hold_for_are_refused(made: HedgeRules):
    """A start weight of 0 could never grow, and a share of 1 forgets everything."""
    with pytest.raises(InvariantError, match="start weights above 0"):
        FixedShare(made)


def test_state_of_another_kind_of_learner_is_refused():
    """Weights of three experts, or weights that do not sum to 1."""
    for state in ((math.log(0.5), math.log(0.2), math.log(0.3)), (math.log(0.5), math.log(0.4))):
        with pytest.raises(InvariantError, match="not the logarithms of 2 weights"):
            FixedShare(SHIPPED).restore(state)


def test_nobody_awake_has_no_mix():
    """Somebody has to be believed."""
    with pytest.raises(InvariantError, match="nobody to believe"):
        FixedShare(SHIPPED).mix((False, False))
