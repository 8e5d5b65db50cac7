"""One model behind OpenAI's chat completions: GET /health, GET /v1/models, POST /v1/chat/completions.

A model in mode `score` answers requests with `logprobs`: the tokens of `top_logprobs` are the labels of the valid
actions, whole, and their numbers the logarithms of legal mass x probability among the valid ones (-9999 for a mass of
nothing, as vLLM has it), from which any client gets the scores to rounding. `label_scores` beside them is the model's
own record, for a client that knows it: doubles with all their digits, so that nothing is lost.
`guided_choice` alone, or `structured_outputs.choice`, is answered by the likeliest of the choices, which are labels.
A model in mode `generate` answers requests without `logprobs`, by its constrained line.

`valid_actions` (labels; ours) or the choices say what is valid; all six without them. Sampling is the server's own
setting. Every refusal has OpenAI's shape. Over TCP only the names of this machine are taken for a host, and nothing
that a browser sends for a page (it has an Origin) is answered.
"""

import asyncio
import hmac
import math
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from trader.adapters.openai.credential import Secret
from trader.adapters.openai.desk import Desk, FullError
from trader.adapters.openai.finding import OURS
from trader.adapters.openai.listening import is_loopback
from trader.adapters.openai.wire import (
    LOWEST_LOGPROB,
    ChatRequest,
    Choice,
    Completion,
    ErrorBody,
    Fault,
    Logprobs,
    ModelCard,
    ModelList,
    TokenLogprob,
    TopLogprob,
    WireMessage,
)
from trader.advisor.prompt import Message, Prompt, prompt_of
from trader.advisor.question import Scores
from trader.domain.actions import ACTION_COUNT, ACTIONS, Action

BODY_BYTES = 256 * 1024
BODY_PATIENCE_S = 10.0
MESSAGES_MAX = 64
TOP_LOGPROBS_MAX = 20
RETRY_AFTER_S = 1
ALL_ACTIONS = (1 << ACTION_COUNT) - 1
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {each: each for each in ("system", "user", "assistant")}
_LABELS = {action.name: action for action in ACTIONS}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ModelFailedError(Exception):
    """The model gave no answer; the text says why, for people. Raised by `ServedModel.ask`."""


class ServedModel(Struct, frozen=True, kw_only=True):
    """A model to serve. `ask` blocks, is called from one thread, and gives scores or a text by the `mode`."""

    identity: str
    mode: Literal["score", "generate"]
    ask: Callable[[Prompt, int], Scores | str]
    is_ready: Callable[[], bool]


class ServerRules(Struct, frozen=True, kw_only=True):
    """Who is answered. `checks_host` is for TCP: over a unix socket the file's mode decides."""

    secret: Secret | None
    checks_host: bool
    waiting_max: int


class RefusedError(Exception):
    """A request that is not answered. Never leaves this module."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Server:
    """The handlers around one model. Made inside the event loop; `close` ends its thread."""

    def __init__(self, model: ServedModel, rules: ServerRules) -> None:
        self._model = model
        self._rules = rules
        self._desk = Desk(rules.waiting_max)

    def application(self) -> web.Application:
        """The routes, with the checks in front of them."""
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[_with_errors, self._checked])
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._completions)
        return app

    def close(self) -> None:
        """Nothing is asked any more."""
        self._desk.close()

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if "Origin" in request.headers:
            raise RefusedError(403, "requests of web pages are not answered")
        if self._rules.checks_host and not _names_this_machine(request.headers.get("Host", "")):
            raise RefusedError(421, "this server answers to the names of its own machine only")
        if request.path != "/health" and not self._is_known(request):
            raise RefusedError(401, "a bearer token is needed")
        return await handler(request)

    def _is_known(self, request: web.Request) -> bool:
        secret = self._rules.secret
        if secret is None:
            return True
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, f"Bearer {secret.reveal()}".encode())

    async def _health(self, request: web.Request) -> web.Response:
        del request
        return _json(200, {"status": "ok"}) if self._model.is_ready() else _json(503, {"status": "no model"})

    async def _models(self, request: web.Request) -> web.Response:
        del request
        return _json(200, ModelList(data=(ModelCard(id=self._model.identity, owned_by=OURS),)))

    async def _completions(self, request: web.Request) -> web.Response:
        asked = await _read(request)
        mask = _checked_mask(asked, self._model)
        prompt = _prompt_of(asked)
        try:
            outcome = await self._desk.serve(lambda: self._model.ask(prompt, mask))
        except FullError:
            raise RefusedError(503, "too many questions are waiting") from None
        except ModelFailedError as error:
            raise RefusedError(500, f"the model gave no answer: {error}") from error
        choice = _written(outcome) if isinstance(outcome, str) else _scored(outcome, asked)
        return _json(200, Completion(choices=(choice,), id="advice", model=self._model.identity))


def _names_this_machine(host: str) -> bool:
    """Whether a Host, with or without a port, is one that no name server can have led here."""
    has_port = ":" in host and not host.endswith("]")
    name = host.rpartition(":")[0] if has_port else host
    return is_loopback(name.removeprefix("[").removesuffix("]").lower())


@web.middleware
async def _with_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals in OpenAI's shape; those of aiohttp too."""
    try:
        return await handler(request)
    except RefusedError as error:
        return _refusal(error.status, error.message)
    except web.HTTPException as error:
        return _refusal(error.status, error.reason)


def _refusal(status: int, message: str) -> web.Response:
    response = _json(status, ErrorBody(Fault(message=message, type="invalid_request_error")))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _json(status: int, content: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


async def _read(request: web.Request) -> ChatRequest:
    if request.content_type != "application/json":
        raise RefusedError(415, "the body must be application/json")
    if "Content-Encoding" in request.headers:
        raise RefusedError(415, "the body must not be compressed")
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            body = await request.read()
    except TimeoutError:
        raise RefusedError(408, "the body did not come in time") from None
    try:
        return msgspec.json.decode(body, type=ChatRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, f"the body is no chat completion request: {str(error)[:200]}") from None


def _checked_mask(asked: ChatRequest, model: ServedModel) -> int:
    """Which actions are valid, bit i for Action(i)."""
    if asked.model not in (None, model.identity):
        raise RefusedError(404, f"this server has {model.identity!r} only")
    if asked.stream or asked.n not in (None, 1):
        raise RefusedError(400, "neither streams nor several replies are offered")
    if not 0 <= (asked.top_logprobs or 0) <= TOP_LOGPROBS_MAX:
        raise RefusedError(400, f"top_logprobs is 0 to {TOP_LOGPROBS_MAX}")
    labels = _labels(asked)
    if model.mode == "score" and not asked.logprobs and _choices(asked) is None:
        raise RefusedError(400, "this model scores labels: ask with logprobs and top_logprobs, or with guided_choice")
    if model.mode == "generate" and (asked.logprobs or _choices(asked) is not None):
        raise RefusedError(400, "this model writes `ACTION | confidence | reason`: neither logprobs nor choices here")
    if labels is None:
        return ALL_ACTIONS
    unknown = [label for label in labels if label not in _LABELS]
    if unknown or not labels or len(set(labels)) < len(labels):
        raise RefusedError(400, f"the choices must be different ones of {', '.join(_LABELS)}")
    return sum(1 << _LABELS[label] for label in labels)


def _choices(asked: ChatRequest) -> tuple[str, ...] | None:
    if asked.guided_choice is not None or asked.structured_outputs is None:
        return asked.guided_choice
    return asked.structured_outputs.choice


def _labels(asked: ChatRequest) -> tuple[str, ...] | None:
    return _choices(asked) if asked.valid_actions is None else asked.valid_actions


def _prompt_of(asked: ChatRequest) -> Prompt:
    if not 0 < len(asked.messages) <= MESSAGES_MAX:
        raise RefusedError(400, f"1 to {MESSAGES_MAX} messages are taken")
    messages: list[Message] = []
    for each in asked.messages:
        role = _ROLES.get(each.role)
        if role is None or each.content is None:
            raise RefusedError(400, "a message has a content, and a role: system, user or assistant")
        messages.append(Message(role, each.content))
    return prompt_of(tuple(messages))


def _written(line: str) -> Choice:
    return Choice(message=WireMessage("assistant", line), finish_reason="stop")


def _scored(scores: Scores, asked: ChatRequest) -> Choice:
    log_mass = math.log(scores.legal_mass) if scores.legal_mass > 0 else LOWEST_LOGPROB
    listed = sorted(
        (TopLogprob(action.name, log_mass + log_prob) for action, log_prob in _valid(scores)),
        key=lambda each: -(each.logprob or 0.0),
    )
    best = listed[0]
    message = WireMessage("assistant", best.token)
    if not asked.logprobs:
        return Choice(message=message, finish_reason="stop")
    position = TokenLogprob(best.token, best.logprob, tuple(listed[: asked.top_logprobs or 0]))
    logprobs = Logprobs((position,))
    return Choice(message=message, logprobs=logprobs, finish_reason="length", label_scores=scores)


def _valid(scores: Scores) -> list[tuple[Action, float]]:
    return [(action, each) for action, each in zip(ACTIONS, scores.log_probs, strict=True) if each is not None]
