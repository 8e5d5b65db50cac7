"""`trader advisor serve`: the configured model behind OpenAI's chat completions: one GPU for several daemons.

On a unix socket, or on a port of this machine only. SIGTERM and SIGINT end it: requests in progress have a moment.
"""

import asyncio
import signal
import socket
import sys
import time
from contextlib import AbstractContextManager
from types import FrameType

from msgspec.structs import replace

from trader import assembly
from trader.adapters.openai.credential import read_credential
from trader.adapters.openai.listening import at_port, at_socket
from trader.adapters.openai.server import ModelFailedError, ServedModel, ServerRules
from trader.adapters.openai.serving import serve
from trader.adapters.phi3.keeper import Keeper, WorkerDownError
from trader.adapters.phi3.protocol import Failed, Reason, Scored
from trader.adapters.phi3.worker_backend import COMMAND
from trader.advisor.probes import probe_questions
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores
from trader.backends import prompt_maker
from trader.commands.common import settings_from
from trader.domain.instruments import instrument
from trader.errors import ConfigurationError, UsageError
from trader.options import FileOptions, ServeOptions
from trader.settings import Settings

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8_000


def run(files: FileOptions, wanted: ServeOptions) -> None:
    """Load the model, listen, answer until a signal comes; exit 0 then."""
    settings = settings_from(files)
    secret = None if wanted.credential is None else read_credential(str(wanted.credential), "--credential")
    rules = ServerRules(secret=secret, checks_host=wanted.socket is None, waiting_max=wanted.queue)
    with _listening(wanted) as listening:
        signal.signal(signal.SIGTERM, _leave)  # while the model is loaded
        keeper = _keeper(settings)
        try:
            model = _loaded(settings, keeper)
            asyncio.run(serve(model, rules, listening, _say))
        finally:
            keeper.close()


def _listening(wanted: ServeOptions) -> AbstractContextManager[socket.socket]:
    if wanted.socket is None:
        port = DEFAULT_PORT if wanted.port is None else wanted.port
        return at_port(wanted.host or DEFAULT_HOST, port)
    if wanted.host is not None or wanted.port is not None:
        msg = "--socket takes the place of --host and --port: give either"
        raise UsageError(msg)
    return at_socket(wanted.socket)


def _keeper(settings: Settings) -> Keeper:
    options = replace(assembly.model_options(settings), wants_reason=False)  # a reply has no place for it
    render = prompt_maker(settings).render
    probes = tuple(render(question) for question in probe_questions(instrument(settings.market)))
    return Keeper(COMMAND, options, assembly.worker_rules(settings), time.monotonic, _forget, probes)


def _loaded(settings: Settings, keeper: Keeper) -> ServedModel:
    """The model, ready; ConfigurationError in the worker's words where it cannot be loaded."""
    _say(f"loading {settings.llm_model.name}")
    try:
        keeper.start()
    except WorkerDownError as error:
        msg = f"the language model did not start: {error}"
        raise ConfigurationError(msg) from error
    return served(keeper, settings.advisor.mode)


def served(keeper: Keeper, mode: str) -> ServedModel:
    """A model that a worker's process holds."""

    def ask(prompt: Prompt, mask: int) -> Scores | str:
        try:
            reply = keeper.ask(prompt, mask)
        except WorkerDownError as error:
            raise ModelFailedError(str(error)) from error
        if isinstance(reply, Failed):
            raise ModelFailedError(reply.message)
        return reply.scores if isinstance(reply, Scored) else reply.text

    return ServedModel(
        identity=keeper.identity,
        mode="score" if mode == "score" else "generate",
        ask=ask,
        is_ready=lambda: keeper.is_ready,
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _forget(prompt_sha256: str, reason: Reason) -> None:
    """No reasons are asked for."""


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)
