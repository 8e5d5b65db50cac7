"""One question to a server: the fields of the request by the way of asking, and the reply."""

from enum import StrEnum
from typing import TypeVar

import msgspec
from msgspec import Struct

from trader.adapters.openai.client import Client
from trader.adapters.openai.guides import Fields, Guide, held_to_line
from trader.adapters.openai.labels import read_scores
from trader.adapters.openai.options import OpenAiOptions
from trader.adapters.openai.wire import Choice, Completion
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores
from trader.domain.actions import actions_in
from trader.errors import InputError

TOP_LOGPROBS = 20

T = TypeVar("T")


class Scoring(StrEnum):
    """How a server is asked, in the order in which `auto` tries.

    LOGPROBS reads the probabilities of the labels' first tokens and gives scores. GUIDED_CHOICE holds the reply to the
    format and the valid actions, NONE takes the reply as it comes; both give the number that the model wrote.
    """

    LOGPROBS = "logprobs"
    GUIDED_CHOICE = "guided_choice"
    NONE = "none"


class Way(Struct, frozen=True):
    """How a server is asked, once that is known. `positions` is how many of a reply's tokens a score reads."""

    model: str
    scoring: Scoring
    guide: Guide | None = None
    positions: int = 1

    @property
    def name(self) -> str:
        """For the identity."""
        guide = "" if self.guide is None else f"/{self.guide.value}"
        return f"{self.model}:{self.scoring.value}{guide}"


def fields_for(way: Way, options: OpenAiOptions, mask: int, prompt: Prompt) -> Fields:
    """What a request for the actions of `mask` holds beside model and messages."""
    labels = [action.name for action in actions_in(mask)]
    guided: Fields = {} if way.guide is None else held_to_line(way.guide, labels)
    if way.scoring is Scoring.LOGPROBS:
        read: Fields = {"max_tokens": way.positions, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        return read | {"temperature": 0} | guided
    thought = options.cot_max_tokens if options.thinks else 0
    length: Fields = {"max_tokens": options.max_new_tokens + thought}
    if not options.sample:
        return length | {"temperature": 0} | guided
    seed = (options.seed ^ int(prompt.sha256[:8], 16)) & 0x7FFF_FFFF  # the same question draws the same reply
    return length | {"temperature": options.temperature, "top_p": options.top_p, "seed": seed} | guided


def complete(client: Client, model: str, prompt: Prompt, fields: Fields) -> Choice:
    """The server's reply; InputError where there is none."""
    messages = [{"role": each.role, "content": each.content} for each in prompt.messages]
    content = client.post("chat/completions", msgspec.json.encode({"model": model, "messages": messages, **fields}))
    choices = decoded(content, Completion, client.place).choices
    if not choices:
        msg = f"{client.place} answered with no choice"
        raise InputError(msg)
    return choices[0]


def scores_of(choice: Choice, way: Way, mask: int) -> Scores:
    """The scores of the actions of `mask`; InputError where the reply has no probabilities."""
    if choice.label_scores is not None and way.guide is Guide.VALID_ACTIONS:
        return choice.label_scores
    content = None if choice.logprobs is None else choice.logprobs.content
    if not content:
        msg = "the server gives no log-probabilities"
        raise InputError(msg)
    return read_scores(content, mask)


def decoded(content: bytes, kind: type[T], place: str) -> T:
    """`content` as a record of `kind`; InputError names the `place` that sent something else."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        msg = f"{place} answered with something that is no {kind.__name__} as OpenAI defines it"
        raise InputError(msg) from None
