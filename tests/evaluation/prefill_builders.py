"""A model that answers batches by throwing dice, and bars that are replayed on its recording."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from evaluation_builders import market, settings

from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import Head, Key, Recorded, Recording, RecordingFile
from trader.advisor.prompt import Prompt
from trader.advisor.question import Question, Scores
from trader.backends import prompt_maker
from trader.evaluation.advised import advised_by, replay
from trader.evaluation.prefill import AnsweredAtOnce, Missing, MissingWatch
from trader.evaluation.runs import Market
from trader.settings import Settings

SESSIONS = 8
SETTINGS = settings("advisor.backend=phi3", "execution.entry_window=rth")
PROMPTS = prompt_maker(SETTINGS)
HEAD = Head(
    backend="phi3",
    identity="dice",
    answered_by="two dice",
    model="dice",
    revision=None,
    quantization="none",
    mode="score",
    prompt=PROMPTS.identity,
    anonymised=False,
    batched=True,
    knowledge_until=None,
)


def dice(question: Question, prompt: Prompt) -> Scores:
    """A model that leans hard, by the prompt's hash: what it says depends on all that it is told."""
    digest = bytes.fromhex(prompt.sha256)
    weights = [math.exp(5 * digest[a] / 255) if question.mask >> a & 1 else 0.0 for a in range(6)]
    return Scores(tuple(math.log(w / sum(weights)) if w else None for w in weights), 0.9)


class Model:
    """Answers batches, and remembers how large they were; raises once it has had enough."""

    def __init__(self, most: int = 10_000) -> None:
        self.batches: list[int] = []
        self.most = most

    def __call__(self, batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        if sum(self.batches) + len(batch) > self.most:
            raise KeyboardInterrupt
        self.batches.append(len(batch))
        return {Key(one.prompt.sha256, one.question.mask): dice(one.question, one.prompt) for one in batch}


class Bars:
    """The bars, replayed on a recording as it grows."""

    def __init__(self, file: RecordingFile, in_force: Settings = SETTINGS, bars: Market | None = None) -> None:
        self.file = file
        self.in_force = in_force
        self.bars = market(SESSIONS) if bars is None else bars
        self.prompts = prompt_maker(in_force)

    def recorded(self) -> RecordedAnswers:
        return RecordedAnswers(Recording(self.file.head, self.file.answers), self.prompts.render, self.prompts.identity)

    def once(self) -> MissingWatch:
        return self.watched(self.recorded())

    def watched(self, backend: RecordedAnswers | AnsweredAtOnce) -> MissingWatch:
        watch = MissingWatch(self.prompts.render)
        asyncio.run(replay(self.bars, self.in_force, advised_by(self.in_force, backend), watch))
        return watch
