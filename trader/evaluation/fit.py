"""Fits what an advisor begins with to training dates: its calibration, and bounds of the fusion table by regime.

The calibration is what a run over the dates has learned at its end. The bounds are searched by further runs. Other
bounds make other trades, so that prompts tell of another account, and a recording holds no answer to those: then the
last answer to a question like it stands in, one that the first run got on the same market.
"""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping

from msgspec import Struct

from trader.adapters.recording import RecordedAnswers, answer_of
from trader.adapters.recording_file import Key, Recorded, Recording
from trader.advisor.calibration import CalibrationState
from trader.advisor.prompt import PromptMaker
from trader.advisor.question import Answer, Question
from trader.analysis.figures import facts_of
from trader.analysis.fit import GRID, Found, Worth, search
from trader.app import Run
from trader.domain.decisions import AdviceStatus, Decision
from trader.domain.units import MINUTE_NS
from trader.errors import InputError, InvariantError
from trader.evaluation.advised import advised_by, replay
from trader.evaluation.runs import Market
from trader.learning import Thresholds
from trader.logbook import SilentLogbook
from trader.pipeline import Look
from trader.recorder import Outcome
from trader.router import Router
from trader.settings import Settings

STAND_IN_NS = 5 * MINUTE_NS
"""How old an answer that stands in may be, in bar time: as long as the shipped cache keeps one."""


class FitResult(Struct, frozen=True, kw_only=True):
    """What was learned at the end of the first run, and the bounds that were found; the dates are those of sessions."""

    first_session: str
    last_session: str
    calibration: CalibrationState
    found: Found


class Likeness(Struct, frozen=True):
    """What a question must share with another for its answer to stand in: valid actions and side of the position."""

    mask: int
    side: int


class StandIns:
    """Answers by time of those questions that a run was answered."""

    def __init__(self) -> None:
        self._times: dict[Likeness, list[int]] = defaultdict(list)
        self._answers: dict[Likeness, list[Recorded]] = defaultdict(list)

    def add(self, question: Question, recorded: Recorded) -> None:
        """Another one, later than those before."""
        like = _likeness(question)
        self._times[like].append(question.ts_close_ns)
        self._answers[like].append(recorded)

    def find(self, question: Question) -> Recorded | None:
        """The last answer to a question like it, at its time or at most five minutes before; None without one."""
        like = _likeness(question)
        times = self._times.get(like, [])
        place = bisect_right(times, question.ts_close_ns) - 1
        if place < 0 or question.ts_close_ns - times[place] > STAND_IN_NS:
            return None
        return self._answers[like][place]


class SteadyAnswers:
    """A recording, and stand-ins for what it does not hold. Counts what it was asked."""

    is_instant = True
    is_calibrated = True

    def __init__(self, recorded: RecordedAnswers, prompts: PromptMaker, stand_ins: StandIns) -> None:
        self._recorded = recorded
        self._prompts = prompts
        self._stand_ins = stand_ins
        self.identity = recorded.identity
        self.questions = 0
        self.stood_in = 0
        self.missing = 0

    def start(self) -> None:
        """As the recording's."""
        self._recorded.start()

    def ask(self, question: Question) -> Answer:
        """What was recorded, else what stands in, else MISSING."""
        self.questions += 1
        answer = self._recorded.ask(question)
        if answer.status is not AdviceStatus.MISSING:
            return answer
        found = self._stand_ins.find(question)
        if found is None:
            self.missing += 1
            return answer
        self.stood_in += 1
        return answer_of(self._recorded.head, question, self._prompts.render(question), found)

    def close(self) -> None:
        """Nothing to end."""


class _Watch(SilentLogbook):
    """Gathers stand-ins from a run on the recording, and its sessions."""

    def __init__(self, answers: Mapping[Key, Recorded]) -> None:
        self._answers = answers
        self.stand_ins = StandIns()
        self.sessions: list[str] = []

    def begin_session(self, date: str) -> None:
        self.sessions.append(date)

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        super().bar(look, answer, decision, outcome, router)
        if look.question is None or answer is None or answer.from_cache or answer.prompt_sha256 is None:
            return
        recorded = self._answers.get(Key(answer.prompt_sha256, look.question.mask))
        if recorded is not None:
            self.stand_ins.add(look.question, recorded)


class Fitting:
    """One fit. `tell` hears of every backtest that has ended."""

    def __init__(
        self,
        market: Market,
        settings: Settings,
        recording: Recording,
        prompts: PromptMaker,
        tell: Callable[[], None],
    ) -> None:
        """`settings` are those of the training run: they must let the advisor be asked, and the calibration learn."""
        self._market = market
        self._settings = settings
        self._recording = recording
        self._prompts = prompts
        self._tell = tell
        self._watch = _Watch(recording.answers)
        self._calibration: CalibrationState | None = None

    def fit(self, grid: tuple[Thresholds, ...] = GRID) -> FitResult:
        """Run, learn, search the grid. InputError where the recording answers nothing that is asked."""
        fusion = self._settings.fusion
        in_force = Thresholds(override_high=fusion.override_high, uncertain_below=fusion.uncertain_below)
        found = search(in_force, self._evaluate, grid)
        if self._calibration is None:
            msg = "a fit has run nothing"
            raise InvariantError(msg)
        sessions = self._watch.sessions
        return FitResult(
            first_session=sessions[0], last_session=sessions[-1], calibration=self._calibration, found=found
        )

    def _evaluate(self, thresholds: Mapping[int, Thresholds]) -> Worth:
        """The first run is of the bounds in force, and teaches."""
        is_first = self._calibration is None
        recorded = RecordedAnswers(self._recording, self._prompts.render, self._prompts.identity)
        backend = SteadyAnswers(recorded, self._prompts, StandIns() if is_first else self._watch.stand_ins)
        advising = advised_by(self._settings, backend, thresholds)
        log = self._watch if is_first else SilentLogbook()
        run = asyncio.run(replay(self._market, self._settings, advising, log))
        if is_first:
            self._learn(run, backend)
        self._tell()
        trades = run.tally.report(facts_of(run.start), accounts_used=run.engine.accounts_used).trades
        return Worth(
            trades=trades.trades,
            mean_r=trades.expectancy_r,
            questions=backend.questions,
            stood_in=backend.stood_in,
            missing=backend.missing,
        )

    def _learn(self, run: Run, backend: SteadyAnswers) -> None:
        if backend.missing == backend.questions:
            msg = (
                f"the recording answers none of {backend.questions:,} questions of a backtest on these bars; fill it "
                "with `trader advisor prefill` on the same bars, dates and settings"
            )
            raise InputError(msg)
        learner = run.advice.learner
        self._calibration = None if learner is None else learner.learned().calibration


def _likeness(question: Question) -> Likeness:
    qty = question.position_qty
    return Likeness(question.mask, (qty > 0) - (qty < 0))
