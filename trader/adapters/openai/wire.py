"""What goes over the wire, as records: the parts of OpenAI's chat completions that are used. Unknown fields pass."""

from msgspec import Struct

from trader.advisor.question import Scores

LOWEST_LOGPROB = -9_999.0
"""Stands for minus infinity, which JSON cannot hold; vLLM uses the same number."""


class WireMessage(Struct, frozen=True):
    """One turn; a server may leave `content` out where it wrote nothing."""

    role: str
    content: str | None = None


class TopLogprob(Struct, frozen=True):
    """A token that might have come, by its text, and the natural logarithm of its probability; None is none at all."""

    token: str
    logprob: float | None


class TokenLogprob(Struct, frozen=True):
    """The token that came at one position, and the likeliest there."""

    token: str
    logprob: float | None
    top_logprobs: tuple[TopLogprob, ...] = ()


class Logprobs(Struct, frozen=True):
    """One entry a token of the reply."""

    content: tuple[TokenLogprob, ...] | None = None


class Choice(Struct, frozen=True):
    """One reply. Servers that offer no probabilities leave `logprobs` out.

    `label_scores` is ours: what `logprobs` says, as the model gave it, to the last bit.
    """

    message: WireMessage
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    index: int = 0
    label_scores: Scores | None = None


class Completion(Struct, frozen=True, kw_only=True):
    """The answer to a request for a chat completion."""

    choices: tuple[Choice, ...]
    id: str = ""
    object: str = "chat.completion"
    created: int = 0
    model: str = ""


class ModelCard(Struct, frozen=True):
    """A model that a server offers."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str | None = None


class ModelList(Struct, frozen=True):
    """The answer to GET /v1/models; Ollama without a model sends null."""

    data: tuple[ModelCard, ...] | None
    object: str = "list"


class Choices(Struct, frozen=True):
    """vLLM's way of holding a reply to one of a few texts."""

    choice: tuple[str, ...] | None = None


class ChatRequest(Struct, frozen=True, kw_only=True):
    """What `trader advisor serve` understands of a request. Sampling is the server's own setting."""

    messages: tuple[WireMessage, ...]
    model: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stream: bool | None = None
    n: int | None = None
    guided_choice: tuple[str, ...] | None = None
    valid_actions: tuple[str, ...] | None = None
    structured_outputs: Choices | None = None


class Fault(Struct, frozen=True):
    """Why a request was not answered."""

    message: str
    type: str


class ErrorBody(Struct, frozen=True):
    """A refusal, in OpenAI's shape."""

    error: Fault
