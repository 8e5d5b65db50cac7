"""The back end `recorded` on a recording: a model's answers by prompt and valid actions, without the model.

Unlike a decision log it does not know bars: the line asks as it would ask the model, cache and decay included, and the
scores become advice by the calibration of this run. What was never asked is MISSING, and is kept for who wants to ask.
"""

from collections.abc import Callable

from msgspec import Struct

from trader.adapters.recording_file import Key, Recorded, Recording, RecordingFile
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question, Trace
from trader.advisor.replies import answer_from_scores, answer_from_text
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError

MISSING_KEPT = 100_000
"""Prompts that are kept to be asked, about 150 MB of text; whoever has more of them asks these first."""


class Missing(Struct, frozen=True):
    """A question that the recording cannot answer, as it would be asked."""

    question: Question
    prompt: Prompt


class RecordedAnswers:
    """Answers from a recording, and collects in `missing` what it cannot answer, in the order of asking.

    `asked` counts questions, `missed` those without an answer; the same prompt may count more than once in both.
    """

    is_instant = True
    is_calibrated = True

    def __init__(
        self, recording: Recording | RecordingFile, render: Callable[[Question], Prompt], prompt_identity: str
    ) -> None:
        """`render` makes a question's prompt, and is known by `prompt_identity`; nothing is checked before `start`."""
        self._recording = recording
        self._render = render
        self._prompt_identity = prompt_identity
        self.missing: dict[Key, Missing] = {}
        self.asked = 0
        self.missed = 0

    @property
    def identity(self) -> str:
        """That of whoever was recorded; what was computed in batches is not quite the same."""
        head = self._recording.head
        return f"{head.identity} batched" if head.batched else head.identity

    @property
    def is_batched(self) -> bool:
        """Whether the answers were computed many at a time: then they are for replays only, never for live bars."""
        return self._recording.head.batched

    def start(self) -> None:
        """ConfigurationError where the prompts are no longer those that were recorded: no answer would be found."""
        recorded = self._recording.head.prompt
        if recorded != self._prompt_identity:
            msg = (
                f"advisor.recorded_from: the recording answers prompts of {recorded}, this run asks those of "
                f"{self._prompt_identity}; go back to the settings under `prompt`, or run `trader advisor prefill` anew"
            )
            raise ConfigurationError(msg)

    def ask(self, question: Question) -> Answer:
        """USED or INVALID as the model answered, else MISSING."""
        self.asked += 1
        prompt = self._render(question)
        key = Key(prompt.sha256, question.mask)
        recorded = self._recording.answers.get(key)
        if recorded is None:
            self.missed += 1
            if len(self.missing) < MISSING_KEPT:
                self.missing.setdefault(key, Missing(question, prompt))
            return Answer(status=AdviceStatus.MISSING, prompt_sha256=prompt.sha256)
        return self._answer(question, prompt, recorded)

    def close(self) -> None:
        """Nothing to end."""

    def _answer(self, question: Question, prompt: Prompt, recorded: Recorded) -> Answer:
        head = self._recording.head
        messages = tuple((message.role, message.content) for message in prompt.messages)
        trace = Trace(backend=f"recorded:{head.backend}", messages=messages)
        if isinstance(recorded, str):
            return answer_from_text(question, prompt, recorded, trace, is_last_line=head.chain_of_thought)
        return answer_from_scores(question, prompt, recorded, trace, is_batched=head.batched)
