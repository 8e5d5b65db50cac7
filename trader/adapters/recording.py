"""The back end `recorded` on a recording: a model's answers by prompt and valid actions, without the model.

Unlike a decision log it does not know bars: the line asks as it would ask the model, cache and decay included, and the
scores become advice by the calibration of this run. What was never asked is MISSING, and leaves the proposal alone.
"""

from collections.abc import Callable

from trader.adapters.recording_file import Head, Key, Recorded, Recording
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question, Trace
from trader.advisor.replies import answer_from_scores, answer_from_text
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError

_MISSING = "the recording has no answer to this prompt; go on with `trader advisor prefill` on these bars"


class RecordedAnswers:
    """Answers from a recording as the model answered. Batched ones are for replays only, never for live bars."""

    is_instant = True
    is_calibrated = True

    def __init__(self, recording: Recording, render: Callable[[Question], Prompt], prompt_identity: str) -> None:
        """`render` makes a question's prompt, and is known by `prompt_identity`; nothing is checked before `start`."""
        self.head: Head = recording.head
        self._answers = recording.answers
        self._render = render
        self._prompt_identity = prompt_identity

    @property
    def identity(self) -> str:
        """That of who was recorded; what was computed in batches is not quite the same."""
        return f"{self.head.identity} batched" if self.is_batched else self.head.identity

    @property
    def is_batched(self) -> bool:
        """Whether the answers were computed many at a time."""
        return self.head.batched

    def start(self) -> None:
        """ConfigurationError where the prompts are no longer those that were recorded: no answer would be found."""
        if self.head.prompt != self._prompt_identity:
            msg = (
                f"advisor.recorded_from: the recording answers prompts {self.head.prompt[:12]}, this run asks "
                f"{self._prompt_identity[:12]}; go back to its settings under `prompt`, or run `trader advisor prefill`"
            )
            raise ConfigurationError(msg)

    def ask(self, question: Question) -> Answer:
        """USED or INVALID as the model answered, else MISSING."""
        prompt = self._render(question)
        recorded = self._answers.get(Key(prompt.sha256, question.mask))
        if recorded is None:
            return Answer(status=AdviceStatus.MISSING, prompt_sha256=prompt.sha256, error=_MISSING)
        return answer_of(self.head, question, prompt, recorded)

    def close(self) -> None:
        """Nothing to end."""


def answer_of(head: Head, question: Question, prompt: Prompt, recorded: Recorded) -> Answer:
    """What a recorded answer says to `question`: USED, or INVALID where it is none."""
    messages = tuple((message.role, message.content) for message in prompt.messages)
    trace = Trace(backend=f"recorded {head.backend}", messages=messages)
    if isinstance(recorded, str):
        return answer_from_text(question, prompt, recorded, trace)
    return answer_from_scores(question, prompt, recorded, trace, is_batched=head.batched)
