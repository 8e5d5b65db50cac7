"""Servers that speak OpenAI's chat completions as vLLM, llama.cpp and Ollama do, or badly; real sockets, loopback."""

import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from msgspec.structs import replace
from running_server import Running

from trader.adapters.openai.backend import OpenAiBackend
from trader.adapters.openai.options import OpenAiOptions
from trader.advisor.prompt import Message, Prompt, prompt_of
from trader.advisor.question import Question

TOKEN = "sk-a-token-that-nobody-may-see"  # noqa: S105 -- of no server
WORD = re.compile("QUINCE")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OPTIONS = OpenAiOptions(
    url="http://127.0.0.1:1/v1",
    socket=None,
    model=None,
    credential=None,
    scoring="auto",
    timeout_s=20.0,
    mode="score",
    max_new_tokens=50,
    sample=False,
    temperature=0.7,
    top_p=0.9,
    seed=1,
)


def render(question: Question) -> Prompt:
    """A prompt that names the bar."""
    return prompt_of((Message("system", "You trade."), Message("user", f"Bar {question.seq}. Your action?")))


class Dialect:
    """A server that answers by script: which guides it knows, whether it has log-probabilities, what it says freely.

    `tops` is what it lists at each position: (token, probability) pairs. The first `busy` requests it refuses. It
    remembers each request.
    """

    def __init__(
        self,
        knows: tuple[str, ...] = (),
        tops: tuple[tuple[tuple[str, float], ...], ...] | None = None,
        says: str = "BUY | 0.70 | trend is up",
        models: tuple[str, ...] = ("phi-3-mini",),
        owner: str = "vllm",
        busy: int = 0,
    ) -> None:
        self.knows = knows
        self.tops = tops
        self.says = says
        self.models = models
        self.owner = owner
        self.busy = busy
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._answer)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        return web.json_response({"object": "list", "data": [{"id": m, "owned_by": self.owner} for m in self.models]})

    async def _answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.requests.append(asked)
        self.headers.append(dict(request.headers))
        if self.busy:
            self.busy -= 1
            return web.Response(status=503)
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": self._text(asked)}}
        if asked.get("logprobs") and self.tops is not None:
            choice["logprobs"] = {"content": [_position(top) for top in self.tops[: asked["max_tokens"]]]}
        return web.json_response({"id": "x", "object": "chat.completion", "model": asked["model"], "choices": [choice]})

    def _text(self, asked: dict[str, Any]) -> str:
        if "response_format" in asked and "json_schema" in self.knows:
            names = asked["response_format"]["json_schema"]["schema"]["properties"]
            if "word" in names:
                return json.dumps({"word": names["word"]["enum"][0]})
            action, confidence, reason = self.says.split(" | ")
            assert action in names["action"]["enum"]
            return json.dumps({"action": action, "confidence": float(confidence), "reason": reason})
        pattern = self._pattern(asked)
        return "QUINCE" if pattern is not None and WORD.search(pattern) else self.says

    def _pattern(self, asked: dict[str, Any]) -> str | None:
        """The constraint that this server understands, if the request has one."""
        found = {
            "structured_outputs": asked.get("structured_outputs", {}).get("regex"),
            "guided": asked.get("guided_regex"),
            "grammar": asked.get("grammar"),
        }
        return next((text for name, text in found.items() if text is not None and name in self.knows), None)


def _position(top: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    listed = [{"token": token, "logprob": math.log(probability), "bytes": None} for token, probability in top]
    return listed[0] | {"top_logprobs": listed}


def application(answer: Handler, models: Handler | None = None) -> web.Application:
    """A server with one model whose completions are `answer`'s."""

    async def listing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models or listing)
    app.router.add_post("/v1/chat/completions", answer)
    return app


def a_backend(server: Running | None, **changes: Any) -> OpenAiBackend:
    """A back end for the server, not started."""
    url = {} if server is None else {"url": server.url}
    return OpenAiBackend(replace(_OPTIONS, **(url | changes)), render, "prompt-1")
