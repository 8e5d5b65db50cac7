"""A school: questions, bars and answers for a learner, one call each; and an ensemble that listens."""

import math
from typing import Any

import numpy as np
from builders import MINUTE_NS, OPEN_NS, a_question, an_account

from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.hedge import ByRegime, HedgeRules, HedgeState
from trader.advisor.outcomes import Outcome, OutcomeTerms, OutcomeTracker
from trader.advisor.question import Answer, Scores
from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.decisions import AdviceStatus, NotAsked, Proposal
from trader.domain.sessions import Calendar
from trader.fusion import FusionRules
from trader.learning import Adaptive, Learner
from trader.outlook import Outlook, Reading
from trader.pipeline import Look

BASE = 48_000  # ticks
NEVER_NS = 2**62
FLAT = 0b000111
HOLD, BUY, SELL = Action.HOLD, Action.BUY, Action.SELL
TARGET = 100
"""Ticks that take an entry's target, 60 ticks away, or its stop, 20 away."""
TERMS = OutcomeTerms(
    ticks_per_point=4,
    tick_value_cents=500,
    commission_side_cents=225,
    slippage_ticks=1,
    target_through_ticks=1,
    break_even_ticks=2,
    trail_atr=1.0,
)
RULES = FusionRules(llm_weight=0.3, override_high=0.9, override_low=0.6, uncertain_below=0.5)
LEARNS = CalibrationRules(mode=CalibrationMode.RELATIVE, legal_mass_min=0.2, learns=True)
SCORES = Scores((math.log(0.25), math.log(0.625), math.log(0.125), None, None, None), 0.9)
_SESSION = Calendar.load().on("2023-03-15")


def adaptive(*, learning_rate: float = math.log(2), share: float = 0.0, weight_max: float = 1.0) -> Adaptive:
    """From (0.7, 0.3) on, a lost outcome halves what an expert weighs."""
    rules = HedgeRules(start=(0.7, 0.3), learning_rate=learning_rate, share=share)
    return Adaptive(weights=ByRegime(rules), weight_max=weight_max)


def a_reading(regime: int) -> Reading:
    """A reading of which only the regime counts."""
    return Reading(18.0, 50.0, 2.5, 12_000.0, 0.0, 0.0, 12_000.0, 12_000.0, regime)


class School:
    """A learner, and a market that moves as the test says: each bar first settles, then asks."""

    def __init__(self, **parts: Any) -> None:
        self.learner = Learner(OutcomeTracker(TERMS), RULES, **parts)
        self.seq = -1
        self._level = BASE

    def bar(
        self, move: int = 0, *, rl: Action = HOLD, llm: Action | None = None, regime: int = 1, asks: bool = True
    ) -> None:
        """A bar that closes `move` ticks further, what both say at its close; `llm` None: no advice came in time."""
        start, self._level = self._level, self._level + move
        low, high = sorted((start, self._level))
        at_ns = OPEN_NS + self.seq * MINUTE_NS
        self.seq += 1
        prices = (ticks / 4 for ticks in (start, high + 1, low - 1, self._level))
        bar = Bar(at_ns, at_ns + MINUTE_NS, "NQM23", *prices, 100)
        assert _SESSION is not None
        outlook = Outlook(bar, _SESSION, np.zeros(0, np.float32), a_reading(regime), FLAT, True, an_account())
        look = Look(
            seq=self.seq,
            outlook=outlook,
            proposal=Proposal(rl, 0.8),
            forced=False,
            triggers=(),
            not_asked=None if asks else NotAsked.NO_TRIGGER,
            question=a_question(seq=self.seq) if asks else None,
            stop_trailed=False,
            close_ticks=self._level,
            stop_distance_ticks=20,
            target_distance_ticks=60,
        )
        self.learner.on_bar(look, 10.0, NEVER_NS)
        if llm is not None:
            self.learner.advised(self.seq, llm)

    @property
    def level(self) -> int:
        """Where the market stands."""
        return self._level

    def continue_at(self, level: int) -> None:
        """The market stands there, before the first bar."""
        self._level = level

    def weight(self, regime: int = 1) -> float:
        """The advisor's weight in that regime."""
        return self.learner.rules(regime).llm_weight


def advise(calibration: Calibration, seq: int) -> None:
    """A model advises BUY."""
    answer = calibration.advise(seq, FLAT, Answer(status=AdviceStatus.USED, scores=SCORES))
    assert answer.advice is not None
    assert answer.advice.action is BUY


class Choir:
    """Members that remember what they were told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.restored: list[HedgeState] = []

    def settled(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def state(self) -> HedgeState:
        return HedgeState(((0.0,), (0.0,), (0.0,)))

    def restore(self, state: HedgeState) -> None:
        self.restored.append(state)
