"""Servers that fail in every way: each question ends in an error of few words, none raises, none tells the token."""

import asyncio
import itertools
import json
import os
import random
import threading
from pathlib import Path

import pytest
from aiohttp import web
from builders import a_question
from openai_fakes import TOKEN, Dialect, Handler, a_backend, application
from running_server import Running

from trader.adapters.openai.client import MAX_REPLY_BYTES
from trader.adapters.openai.credential import read_credential
from trader.adapters.openai.guides import Guide, line_of, passed
from trader.advisor.question import Answer
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError

GOOD = {"choices": [{"message": {"role": "assistant", "content": "BUY | 0.70 | up"}}]}


DEEP = '{"x": ' + "[" * 100_000


@pytest.fixture
def credential(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"  {TOKEN}\n")
    path.chmod(0o600)
    return str(path)


class Turning:
    """Answers well until the back end has started, then by `then`."""

    def __init__(self, then: Handler) -> None:
        self.then = then
        self.has_turned = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.has_turned:
            return await self.then(request)
        return web.json_response(GOOD)


def ask_after_turn(then: Handler, credential: str | None = None, **changes: object) -> Answer:
    """What a question gets from a server that turns bad once the back end has started."""
    turning = Turning(then)
    with Running(application(turning.answer)) as server:
        backend = a_backend(server, scoring="none", credential=credential, **changes)
        backend.start()
        turning.has_turned = True
        answer = backend.ask(a_question())
        backend.close()
    return answer


def always(response: web.Response) -> Handler:
    """The same answer to every request; a response object itself serves one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    return answer


def echo(status: int) -> Handler:
    """Refuses with all that it was sent, the token included."""

    async def answer(request: web.Request) -> web.StreamResponse:
        text = f"bad: {request.headers.get('Authorization')}"
        return web.json_response({"error": {"message": text, "type": "x"}}, status=status)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Begins an answer, and goes."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": ')
    assert request.transport is not None
    request.transport.abort()
    return response


async def flood(request: web.Request) -> web.StreamResponse:
    """A gigabyte, for as long as somebody reads."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(16_384):
        await response.write(b"x" * 65_536)
    return response


async def hold(request: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (always(web.Response(body=b"\xff\xfe garbage")), "no Completion"),
        (always(web.Response(text="[" * 100_000)), "no Completion"),
        (always(web.json_response({"choices": []})), "no choice"),
        (always(web.json_response({"choices": [{"message": {"role": "assistant", "content": 7}}]})), "no Completion"),
        (always(web.Response(status=500, text="<html>oops</html>")), "HTTP 500"),
        (always(web.Response(status=500, text=DEEP)), "HTTP 500"),
        (always(web.Response(status=400, body=b'{"error": {"message": "\xff"}}')), "HTTP 400"),
        (always(web.Response(status=204)), "HTTP 204"),
        (always(web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})), "redirects are not followed"),
        (always(web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})), "compresses"),
        (hang_up, "failed"),
        (flood, f"more than {MAX_REPLY_BYTES:,} bytes"),
        (echo(400), "HTTP 400: bad: "),
        (echo(401), "does not accept the token"),
    ],
)
def test_bad_answer_is_an_error_in_few_words_without_the_token(then, words, credential):
    """Whatever the server sends."""
    answer = ask_after_turn(then, credential)

    assert (answer.status, answer.advice) == (AdviceStatus.ERROR, None)
    assert answer.error is not None
    assert words in answer.error
    assert len(answer.error) < 300
    assert TOKEN not in repr(answer)


def test_reply_of_a_hundred_thousand_brackets_is_no_advice():
    """Nor does it pass for a trial."""
    assert line_of(Guide.JSON_SCHEMA, DEEP) == DEEP
    assert not passed(Guide.JSON_SCHEMA, DEEP)


def test_silent_server_is_left_after_the_timeout():
    """The question ends; the thread is free again."""
    answer = ask_after_turn(hold, timeout_s=0.2)

    assert answer.error is not None
    assert "within 0.2 s" in answer.error


def test_close_ends_the_question_in_progress():
    """From another thread, as the asker does it; afterwards nothing is asked."""
    arrived = threading.Event()

    async def arrive(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hold(request)

    turning = Turning(arrive)
    answers: list[Answer] = []
    with Running(application(turning.answer)) as server:
        backend = a_backend(server, scoring="none")
        backend.start()
        turning.has_turned = True
        asking = threading.Thread(target=lambda: answers.append(backend.ask(a_question())))
        asking.start()
        assert arrived.wait(20)
        backend.close()
        asking.join(20)
    assert [answer.error for answer in answers] == ["the back end has been closed"]
    assert backend.ask(a_question()).status is AdviceStatus.ERROR
    assert {thread.name for thread in threading.enumerate()} & {"advisor-http-close", "fake-server"} == set()


def test_closing_inside_a_running_loop_works():
    """The asker closes its back end from the daemon's loop."""
    with Running(Dialect().application()) as server:
        backend = a_backend(server)
        backend.start()

        async def close() -> None:
            backend.close()

        asyncio.run(close())


def test_mangled_bodies_never_raise_and_never_advise():
    """Two hundred bodies made of a good one by cutting, doubling and changing bytes."""
    rng = random.Random(7)
    good = json.dumps(
        {
            "choices": [
                {
                    "message": {"role": "assistant", "content": "BUY"},
                    "logprobs": {
                        "content": [
                            {"token": "BUY", "logprob": -0.1, "top_logprobs": [{"token": "BUY", "logprob": -0.1}]}
                        ]
                    },
                }
            ]
        }
    ).encode()
    bodies = [_mangled(good, rng) for _ in range(200)]
    left = iter([good, *bodies])

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=next(left), content_type="application/json")

    with Running(application(answer)) as server:
        backend = a_backend(server, scoring="logprobs")
        backend.start()
        answers = [backend.ask(a_question()) for _ in bodies]
        backend.close()
    assert {each.status for each in answers} <= {AdviceStatus.ERROR, AdviceStatus.INVALID, AdviceStatus.USED}
    assert sum(each.status is AdviceStatus.ERROR for each in answers) > 50
    assert all(each.advice is None for each in answers)


def _mangled(body: bytes, rng: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                del changed[at:]
                changed += b"}"
            case 1:
                changed[at:at] = changed[at : at + rng.randint(1, 20)]
            case 2:
                changed[at] = rng.randrange(256)
            case _:
                del changed[at : at + rng.randint(1, 8)]
    return bytes(changed)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors by /proc")
def test_failures_leave_no_descriptor_and_no_thread():
    """Two hundred failures of five kinds."""
    kinds = itertools.cycle(
        [hang_up, flood, echo(400), always(web.Response(text="?")), always(web.Response(status=302))]
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        return await next(kinds)(request)

    turning = Turning(answer)
    with Running(application(turning.answer)) as server:
        backend = a_backend(server, scoring="none")
        backend.start()
        turning.has_turned = True
        counts = []
        for _ in range(5):
            assert {backend.ask(a_question()).status for _ in range(40)} == {AdviceStatus.ERROR}
            counts.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
        backend.close()
    assert max(count[0] for count in counts) - counts[0][0] <= 5  # of the server, which closes in its own time
    assert {count[1] for count in counts} == {counts[0][1]}


def test_token_is_sent_as_bearer_and_shown_nowhere(credential):
    """White space around it is no part of it."""
    dialect = Dialect(says=f"BUY | 0.70 | {TOKEN}")
    with Running(dialect.application()) as server:
        backend = a_backend(server, credential=credential)
        backend.start()
        answer = backend.ask(a_question())
        backend.close()

    assert {headers["Authorization"] for headers in dialect.headers} == {f"Bearer {TOKEN}"}
    assert TOKEN not in repr(answer) + backend.identity + repr(vars(backend)) + repr(vars(backend._client))


@pytest.mark.parametrize("name", [f"model-{TOKEN}", "x" * 1_000, "two\nlines", ""])
def test_model_is_not_known_by_whatever_a_server_calls_it(name, credential):
    """A name stands in every log: another model is taken, or none."""
    with Running(Dialect(models=(name, "phi")).application()) as server:
        backend = a_backend(server, credential=credential)
        backend.start()
        assert backend.identity.startswith("openai:phi:")
        backend.close()
    with Running(Dialect(models=(name,)).application()) as server:
        backend = a_backend(server, credential=credential)
        with pytest.raises(ConfigurationError, match="does not have a model") as raised:
            backend.start()
        backend.close()
    assert TOKEN not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_refused_token_at_the_start_names_the_place_and_not_the_token(credential):
    """401 to the list of models."""
    with Running(application(hold, models=echo(401))) as server:
        backend = a_backend(server, credential=credential)
        with pytest.raises(ConfigurationError, match="does not accept the token") as raised:
            backend.start()
        backend.close()
    assert TOKEN not in repr(raised.value) + str(raised.value.__cause__) + str(raised.value.__context__)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_credential_that_others_can_use_is_refused(tmp_path, mode):
    """With the command that mends it."""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_credential(str(path), "advisor.openai.credential")


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"two\nlines", b"\xff\xfe", b"x" * 9_000])
def test_credential_that_is_no_single_token_is_refused_unshown(tmp_path, content):
    """Nothing of it in the message."""
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="must hold one token") as raised:
        read_credential(str(path), "advisor.openai.credential")
    assert "two" not in str(raised.value)


def test_missing_credential_folder_or_pipe_is_refused(tmp_path):
    """By the setting's name; a pipe without a writer does not hang."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("nothing", ".", "pipe"):
        with pytest.raises(ConfigurationError, match=r"advisor.openai.credential: "):
            read_credential(str(tmp_path / name), "advisor.openai.credential")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://x/v1", "http://user:pw@127.0.0.1/v1", "http:///v1", "http://h/v1?key=1", "http://h:x/v1"],
)
def test_url_that_is_none_or_holds_a_secret_is_refused_unshown(url):
    """Passwords belong in the credential's file."""
    with pytest.raises(ConfigurationError, match=r"advisor.openai.url") as raised:
        a_backend(None, url=url)
    assert "pw" not in str(raised.value)


def test_token_never_crosses_a_network_in_the_clear(credential):
    """Plain http takes a token on this machine only."""
    with pytest.raises(ConfigurationError, match="unencrypted"):
        a_backend(None, url="http://gpu.example/v1", credential=credential)
    a_backend(None, url="https://gpu.example/v1", credential=credential).close()
    a_backend(None, url="http://[::1]:8000/v1", credential=credential).close()


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    """The prompt goes to the server that was named, and to no other."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with Running(Dialect().application()) as server:
        backend = a_backend(server)
        backend.start()
        backend.close()
