"""What a run learns of its advisor: how often each kind of advice comes true, and whom to believe more. Pure.

The engine tells of every bar, then of the advice that it heard. A question is judged by what the market did after it,
whether or not anybody traded on it; what is learned at the close of a bar counts from that bar's own question on.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from trader.advisor.calibration import Calibration, CalibrationState, Pending
from trader.advisor.hedge import REGIMES, ByRegime, HedgeState, Weights, capped, extra_loss
from trader.advisor.outcomes import Case, Followed, Held, Outcome, OutcomeTracker, TrackerState
from trader.domain.actions import Action
from trader.fusion import FusionRules
from trader.pipeline import Look

RL, LLM = 0, 1
"""The experts of the adaptive weight, in the order of its start (1 - w, w)."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """Bounds of the fusion table in one regime, as `trader advisor fit` found them."""

    override_high: float
    uncertain_below: float


class Adaptive(Struct, frozen=True, kw_only=True):
    """The learned weight of the advisor: fixed-share Hedge a regime, capped at `weight_max`."""

    weights: ByRegime
    weight_max: float


class Learned(Struct, frozen=True, kw_only=True):
    """What is kept from run to run; None for what the run does not learn."""

    calibration: CalibrationState | None
    weights: HedgeState | None
    members: HedgeState | None


class AskedState(Struct, frozen=True, kw_only=True):
    """Who chose what at the question of bar `seq`, None where nobody has yet."""

    seq: int
    rl: Action
    weights: Weights
    llm: Action | None
    decided: Action | None


class Unsettled(Struct, frozen=True, kw_only=True):
    """Questions of which nobody knows yet what became of them; every `seq` counts in the run that asked."""

    tracker: TrackerState
    asked: tuple[AskedState, ...]
    pending: tuple[Pending, ...]


class Members(Protocol):
    """Several models that advise as one, and are weighed by what became of it."""

    def settled(self, outcome: Outcome) -> None: ...

    def state(self) -> HedgeState: ...

    def restore(self, state: HedgeState) -> None: ...


class _Asked(Struct):
    """Who chose what at a question that is not settled yet."""

    rl: Action
    weights: Weights
    llm: Action | None = None
    decided: Action | None = None


class AdaptiveCosts(Struct, frozen=True, kw_only=True):
    """What a learned weight came to over `outcomes` at which both had spoken; a loss is 1 where a choice lost.

    `learned_loss` is that of the learner's own mix, for which the bound on regret holds; `cap_cost` is what the cap on
    the advisor's weight added to it, `choice_cost` what deciding for one action, instead of mixing both, added to that.
    """

    outcomes: int
    learned_loss: float
    cap_cost: float
    choice_cost: float


class Learner:
    """Everything that learns from outcomes: calibration, adaptive weight, an ensemble's members.

    `ensemble` is told of every outcome; `thresholds` replace the fusion's bounds by regime.
    """

    def __init__(
        self,
        tracker: OutcomeTracker,
        fusion: FusionRules,
        *,
        calibration: Calibration | None = None,
        adaptive: Adaptive | None = None,
        thresholds: Mapping[int, Thresholds] | None = None,
        ensemble: Members | None = None,
    ) -> None:
        self._tracker = tracker
        self._fusion = fusion
        self._calibration = calibration
        self._adaptive = adaptive
        self._thresholds = thresholds or {}
        self._ensemble = ensemble
        self._asked: dict[int, _Asked] = {}
        self._rules: dict[int, FusionRules] = {}
        self._costs = AdaptiveCosts(outcomes=0, learned_loss=0.0, cap_cost=0.0, choice_cost=0.0)

    @property
    def costs(self) -> AdaptiveCosts | None:
        """What the learned weight came to so far; None where it is fixed."""
        return None if self._adaptive is None else self._costs

    @property
    def weights(self) -> Mapping[int, float] | None:
        """The advisor's weight in force by regime; None where it is fixed."""
        return None if self._adaptive is None else {regime: self.rules(regime).llm_weight for regime in REGIMES}

    def on_bar(self, look: Look, atr_ticks: float, flat_at_ns: int) -> None:
        """A bar has closed: earlier questions may be settled by it, and its own may be asked."""
        if self._asked:
            self._settle(self._tracker.on_bar(look.outlook.bar, atr_ticks, flat_at_ns))
        if look.question is not None:
            self._tracker.open(_case_of(look, atr_ticks))
            regime = look.outlook.reading.regime
            weights = () if self._adaptive is None else self._adaptive.weights.weights(regime)
            self._asked[look.seq] = _Asked(look.proposal.action, weights)

    def advised(self, seq: int, llm: Action) -> None:
        """The question of bar `seq` was answered in time, by a model or out of the cache."""
        asked = self._asked.get(seq)
        if asked is not None:
            asked.llm = llm

    def decided(self, seq: int, action: Action) -> None:
        """What became of proposal and advice on the bar of question `seq`."""
        asked = self._asked.get(seq)
        if asked is not None:
            asked.decided = action

    def end(self) -> None:
        """The session, the contract or the feed ends: what is open is cut at the last close."""
        if self._asked:
            self._settle(self._tracker.end())
            self._asked.clear()

    def rules(self, regime: int) -> FusionRules:
        """The fusion table's numbers in this regime, as learned so far."""
        rules = self._rules.get(regime)
        if rules is None:
            rules = self._rules[regime] = self._make_rules(regime)
        return rules

    def learned(self) -> Learned:
        """What the next run may begin with."""
        calibration = None if self._calibration is None else replace(self._calibration.state(), pending=())
        return Learned(
            calibration=calibration,
            weights=None if self._adaptive is None else self._adaptive.weights.state(),
            members=None if self._ensemble is None else self._ensemble.state(),
        )

    def restore(self, learned: Learned) -> None:
        """Begin with what an earlier run has learned."""
        if self._calibration is not None and learned.calibration is not None:
            self._calibration.restore(learned.calibration)
        if self._adaptive is not None and learned.weights is not None:
            self._adaptive.weights.restore(learned.weights)
            self._rules.clear()
        if self._ensemble is not None and learned.members is not None:
            self._ensemble.restore(learned.members)

    def unsettled(self) -> Unsettled | None:
        """What the next run may settle, where this one is cut; None where nothing is open."""
        if not self._asked:
            return None
        return Unsettled(
            tracker=self._tracker.state(),
            asked=tuple(
                AskedState(seq=seq, rl=asked.rl, weights=asked.weights, llm=asked.llm, decided=asked.decided)
                for seq, asked in self._asked.items()
            ),
            pending=() if self._calibration is None else self._calibration.state().pending,
        )

    def go_on(self, unsettled: Unsettled, bars: int) -> None:
        """Settle what a run of so many bars has left open; before the first bar."""
        followed = tuple(
            Followed(replace(each.case, seq=each.case.seq - bars), each.bars, each.running, each.net_cents)
            for each in unsettled.tracker.followed
        )
        self._tracker.restore(replace(unsettled.tracker, followed=followed))
        self._asked = {
            each.seq - bars: _Asked(each.rl, each.weights, each.llm, each.decided) for each in unsettled.asked
        }
        if self._calibration is not None:
            pending = tuple(replace(each, seq=each.seq - bars) for each in unsettled.pending)
            self._calibration.restore(replace(self._calibration.state(), pending=pending))

    def _settle(self, outcomes: tuple[Outcome, ...]) -> None:
        for outcome in outcomes:
            asked = self._asked.pop(outcome.seq, None)
            if self._calibration is not None:
                self._calibration.settle(outcome)
            if self._ensemble is not None:
                self._ensemble.settled(outcome)
            if self._adaptive is not None and asked is not None and asked.llm is not None:
                self._weigh(self._adaptive, outcome, asked, asked.llm)

    def _weigh(self, adaptive: Adaptive, outcome: Outcome, asked: _Asked, llm: Action) -> None:
        """Move the weight by what both choices came to, and count what the rules around it have cost."""
        rl_loss, llm_loss = _loss(outcome, asked.rl), _loss(outcome, llm)
        adaptive.weights.update(outcome.regime, (rl_loss, llm_loss))
        self._rules.pop(outcome.regime, None)
        decided = None if asked.decided is None else _loss(outcome, asked.decided)
        if rl_loss is None or llm_loss is None or decided is None:
            return
        losses = (rl_loss, llm_loss)
        taken = capped(asked.weights, LLM, adaptive.weight_max)
        mixed = sum(weight * loss for weight, loss in zip(asked.weights, losses, strict=True))
        cap_cost = extra_loss(taken, asked.weights, losses)
        costs = self._costs
        self._costs = AdaptiveCosts(
            outcomes=costs.outcomes + 1,
            learned_loss=costs.learned_loss + mixed,
            cap_cost=costs.cap_cost + cap_cost,
            choice_cost=costs.choice_cost + decided - mixed - cap_cost,
        )

    def _make_rules(self, regime: int) -> FusionRules:
        rules = self._fusion
        bounds = self._thresholds.get(regime)
        if bounds is not None:
            rules = replace(rules, override_high=bounds.override_high, uncertain_below=bounds.uncertain_below)
        if self._adaptive is not None:
            weight = self._adaptive.weights.weights(regime)[LLM]
            rules = replace(rules, llm_weight=min(weight, self._adaptive.weight_max))
        return rules


def _case_of(look: Look, atr_ticks: float) -> Case:
    outlook = look.outlook
    account = outlook.account
    qty = account.position_qty
    held = None
    if qty != 0:
        held = Held(
            side=1 if qty > 0 else -1,
            entry_ticks=account.entry_ticks,
            stop_ticks=account.stop_ticks,
            target_ticks=account.target_ticks,
            trailing=account.trailing,
        )
    return Case(
        seq=look.seq,
        mask=outlook.mask,
        regime=outlook.reading.regime,
        close_ticks=look.close_ticks,
        atr_ticks=atr_ticks,
        stop_distance_ticks=look.stop_distance_ticks,
        target_distance_ticks=look.target_distance_ticks,
        held=held,
    )


def _loss(outcome: Outcome, action: Action) -> float | None:
    won = outcome.won[action]
    return None if won is None else 1.0 - won
