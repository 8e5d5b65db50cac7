"""Fills a recording with what a backtest asks: replay, collect what is missing, have it answered, replay again.

The first replay of an empty recording finds every question missing: that is the run with the advisor's voice off, and
it collects what such a run would ask. Answers change trades, trades change what is told of the account, and so the next
replay meets questions that nobody has asked yet: hence passes.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import Key, Recorded, RecordingFile
from trader.advisor.prompt import Prompt, PromptMaker
from trader.advisor.question import Answer, Question
from trader.domain.decisions import AdviceStatus, Decision
from trader.errors import TraderError
from trader.logbook import SilentLogbook
from trader.pipeline import Look
from trader.recorder import Outcome
from trader.router import Router

MISSING_KEPT = 100_000
"""Questions that are kept to be asked, about 150 MB of text; whoever has more of them asks these first."""


class Missing(Struct, frozen=True):
    """A question that the recording cannot answer, as it would be asked."""

    question: Question
    prompt: Prompt


Answering = Callable[[Sequence[Missing]], Mapping[Key, Recorded]]
"""Answers a batch; what cannot be answered is left out."""


class PrefillRules(Struct, frozen=True, kw_only=True):
    """At most `passes` are answered, `batch` questions at a time."""

    passes: int
    batch: int


class PassFigures(Struct, frozen=True, kw_only=True):
    """One replay: questions that left the gate and were not in the cache, those missing, the prompts new among them,
    and how many of these were answered."""

    questions: int
    missing: int
    new: int
    answered: int = 0


class Prefilled(Struct, frozen=True, kw_only=True):
    """What became of a recording: each pass, the answers that it holds, and the questions that it still misses."""

    passes: tuple[PassFigures, ...]
    answers: int
    missing_left: int


class MissingWatch(SilentLogbook):
    """Watches a replay for questions without an answer; `missing` has each once, in the order of asking."""

    def __init__(self, render: Callable[[Question], Prompt]) -> None:
        self._render = render
        self.missing: dict[Key, Missing] = {}
        self.questions = 0
        self.unanswered = 0

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """Note the question of one bar."""
        super().bar(look, answer, decision, outcome, router)
        question = look.question
        if question is None or answer is None or answer.from_cache:
            return
        self.questions += 1
        if answer.status is not AdviceStatus.MISSING:
            return
        self.unanswered += 1
        if len(self.missing) < MISSING_KEPT:
            prompt = self._render(question)
            self.missing.setdefault(Key(prompt.sha256, question.mask), Missing(question, prompt))


class AnsweredAtOnce:
    """A recording that is filled while it answers: what is missing is asked there and then, one by one.

    So the answers are those of one replay, however much they change it. `trouble` is what kept one from the file.
    """

    is_instant = True
    is_calibrated = True

    def __init__(
        self, recorded: RecordedAnswers, answering: Answering, file: RecordingFile, prompts: PromptMaker
    ) -> None:
        """`recorded` answers from `file` as it grows."""
        self._recorded = recorded
        self._answering = answering
        self._file = file
        self._prompts = prompts
        self.identity = recorded.identity
        self.answered = 0
        self.trouble: TraderError | None = None

    def start(self) -> None:
        """As the recording's."""
        self._recorded.start()

    def ask(self, question: Question) -> Answer:
        """From the recording, or from the model through the recording; MISSING where the model has no answer."""
        answer = self._recorded.ask(question)
        if answer.status is not AdviceStatus.MISSING or self.trouble is not None:
            return answer
        before = len(self._file.answers)
        try:
            self._file.append(self._answering([Missing(question, self._prompts.render(question))]))
        except TraderError as error:
            self.trouble = error
        self.answered += len(self._file.answers) - before
        return self._recorded.ask(question)

    def close(self) -> None:
        """Nothing to end."""


def prefill(
    replay: Callable[[], MissingWatch],
    answering: Answering,
    file: RecordingFile,
    rules: PrefillRules,
    tell: Callable[[int, int, int], None],
) -> Prefilled:
    """Replay and answer until nothing is missing, or `rules.passes` were answered; a last replay then counts what is.

    Every batch is on the disk before the next is asked. `tell` hears of pass, questions answered in it, and of how
    many, before the first and after each batch.
    """
    figures: list[PassFigures] = []
    while True:
        seen = replay()
        counted = PassFigures(questions=seen.questions, missing=seen.unanswered, new=len(seen.missing))
        if not seen.missing or len(figures) == rules.passes:
            figures.append(counted)
            return Prefilled(passes=tuple(figures), answers=len(file.answers), missing_left=seen.unanswered)
        number, before, missing = len(figures) + 1, len(file.answers), list(seen.missing.values())
        tell(number, 0, counted.new)
        for start in range(0, counted.new, rules.batch):
            file.append(answering(missing[start : start + rules.batch]))
            tell(number, min(start + rules.batch, counted.new), counted.new)
        answered = len(file.answers) - before
        figures.append(replace(counted, answered=answered))
        if not answered:
            return Prefilled(passes=tuple(figures), answers=len(file.answers), missing_left=seen.unanswered)
