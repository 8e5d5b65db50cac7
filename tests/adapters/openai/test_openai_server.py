"""One model behind OpenAI's chat completions: what is answered, what is refused, and that nothing gets lost."""

import http.client
import json
import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest
from builders import a_question
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_fakes import TOKEN, a_backend
from running_server import Running

from trader.adapters.openai.credential import Secret
from trader.adapters.openai.server import ModelFailedError, ServedModel, Server, ServerRules
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores
from trader.domain.actions import actions_in
from trader.domain.decisions import AdviceStatus

OPEN = ServerRules(secret=None, checks_host=True, waiting_max=4)
MESSAGES = [{"role": "user", "content": "Your action?"}]
NO_MEMORY = "no memory"
SCORING = {"messages": MESSAGES, "logprobs": True, "top_logprobs": 20}


class Model:
    """Scores that depend on prompt and mask; remembers what it was asked. May be held, or fail."""

    def __init__(self, mode: str = "score", log_mass: float = -0.3) -> None:
        self.mode = mode
        self.log_mass = log_mass
        self.asked: list[tuple[Prompt, int]] = []
        self.fails = False
        self.is_ready = True
        self.began = threading.Semaphore(0)
        self.may_go = threading.Event()
        self.may_go.set()

    def ask(self, prompt: Prompt, mask: int) -> Scores | str:
        self.asked.append((prompt, mask))
        self.began.release()
        assert self.may_go.wait(20)
        if self.fails:
            raise ModelFailedError(NO_MEMORY)
        if self.mode == "generate":
            return f"{actions_in(mask)[-1].name} | 0.70 | as asked"
        return self.scores(prompt, mask)

    def scores(self, prompt: Prompt, mask: int) -> Scores:
        rng = random.Random(f"{prompt.sha256}:{mask}")
        weights = [rng.expovariate(1.0) if mask >> index & 1 else None for index in range(6)]
        total = math.fsum(weight for weight in weights if weight is not None)
        log_probs = tuple(None if weight is None else math.log(weight / total) for weight in weights)
        return Scores(log_probs=log_probs, legal_mass=math.exp(self.log_mass))

    def served(self) -> ServedModel:
        mode = "score" if self.mode == "score" else "generate"
        return ServedModel(identity="tiny", mode=mode, ask=self.ask, is_ready=lambda: self.is_ready)


@contextmanager
def serving(model: Model, rules: ServerRules = OPEN, **where: Any) -> Iterator[Running]:
    """The model's server, running."""
    server = Server(model.served(), rules)
    with Running(server.application(), **where) as running:
        yield running
    server.close()


def send(
    running: Running, body: object = None, path: str = "/v1/chat/completions", method: str = "POST", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Status, decoded body and headers of the answer; a body of bytes goes as it is, underscores become hyphens."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body=content, headers=given)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text), dict(response.headers)
    finally:
        connection.close()


@pytest.mark.parametrize("mask", [0b000111, 0b001111, 0b011001, 0b101001, 0b000011])
def test_scores_arrive_as_the_model_gave_them(mask):
    """To the last bit, by our own back end: a daemon decides the same as with the model in its own worker."""
    model = Model()
    with serving(model) as running:
        backend = a_backend(running)
        backend.start()
        answer = backend.ask(a_question(mask=mask))
        backend.close()

    prompt, asked_mask = model.asked[-1]
    assert asked_mask == mask
    assert answer.scores == model.scores(prompt, mask)
    assert answer.prompt_sha256 == prompt.sha256
    assert backend.identity == "openai:tiny:logprobs/valid_actions:score:prompt-1"


@pytest.mark.parametrize("log_mass", [-0.3, 0.0, -30.0])
def test_listed_tokens_alone_give_the_scores_to_rounding(log_mass):
    """What any other client of OpenAI's format can read."""
    model = Model(log_mass=log_mass)
    with serving(model) as running:
        _, content, _ = send(running, SCORING | {"guided_choice": ["HOLD", "BUY", "SELL"]})

    listed = content["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    scores = model.scores(*model.asked[-1])
    by_label = {each["token"]: each["logprob"] for each in listed}
    mass = math.fsum(math.exp(each) for each in by_label.values())
    assert mass == pytest.approx(scores.legal_mass, rel=1e-12)
    for action in actions_in(0b000111):
        assert by_label[action.name] - math.log(mass) == pytest.approx(scores.log_probs[action], abs=1e-12)
    assert listed == sorted(listed, key=lambda each: -each["logprob"])
    assert content["choices"][0]["message"]["content"] == listed[0]["token"]


def test_choice_alone_is_answered_by_the_likeliest():
    """As vLLM does, under both names."""
    model = Model()
    with serving(model) as running:
        for field in ({"guided_choice": ["BUY", "HOLD"]}, {"structured_outputs": {"choice": ["BUY", "HOLD"]}}):
            status, content, _ = send(running, {"messages": MESSAGES} | field)
            scores = model.scores(*model.asked[-1])
            best = max((0, 1), key=lambda index: scores.log_probs[index] or 0.0)
            assert status == 200
            assert content["choices"][0]["message"]["content"] == ["HOLD", "BUY"][best]
            assert content["choices"][0]["logprobs"] is None


def test_generating_model_answers_with_its_line():
    """Constrained where it is made; the back end finds and parses it."""
    model = Model("generate")
    with serving(model) as running:
        backend = a_backend(running, mode="generate")
        backend.start()
        answer = backend.ask(a_question(mask=0b000011))
        backend.close()
        status, content, _ = send(running, {"messages": MESSAGES})

    assert answer.usable is not None
    assert (answer.usable.action.name, answer.usable.confidence) == ("BUY", 0.7)
    assert (status, content["choices"][0]["message"]["content"]) == (200, "DISABLE_TRAIL | 0.70 | as asked")


def test_models_and_health_are_told():
    """By the model's own identity; a model that is being loaded again is not well."""
    model = Model()
    with serving(model) as running:
        _, models, _ = send(running, None, "/v1/models", "GET")
        well, _, _ = send(running, None, "/health", "GET")
        model.is_ready = False
        unwell, _, _ = send(running, None, "/health", "GET")

    assert [(card["id"], card["owned_by"]) for card in models["data"]] == [("tiny", "nq-trader")]
    assert (well, unwell) == (200, 503)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'{"messages": "' + b"\xff" + b'"}', 400),
        ({}, 400),
        ({"messages": []}, 400),
        ({"messages": MESSAGES * 65} | SCORING | {"messages": MESSAGES * 65}, 400),
        (SCORING | {"messages": [{"role": "tool", "content": "x"}]}, 400),
        (SCORING | {"messages": [{"role": "user", "content": None}]}, 400),
        (SCORING | {"messages": [{"role": "user", "content": ["x"]}]}, 400),
        ({"messages": MESSAGES}, 400),
        (SCORING | {"stream": True}, 400),
        (SCORING | {"n": 2}, 400),
        (SCORING | {"top_logprobs": -1}, 400),
        (SCORING | {"guided_choice": []}, 400),
        (SCORING | {"guided_choice": ["BUY", "BUY"]}, 400),
        (SCORING | {"valid_actions": ["LONG"]}, 400),
        (SCORING | {"model": "gpt-9"}, 404),
        (SCORING | {"messages": [{"role": "user", "content": "x" * 300_000}]}, 413),
    ],
)
def test_request_that_cannot_be_answered_is_refused_in_openais_shape(body, status):
    """And does not reach the model."""
    model = Model()
    with serving(model) as running:
        given_status, content, _ = send(running, body)

    assert given_status == status
    assert set(content["error"]) == {"message", "type"}
    assert model.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8000"}, 421),
        ({"Host": "192.168.1.2:8000"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "LOCALHOST:8000"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "127.0.0.2:8000"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "[::1]:8000"}, 200),
    ],
)
def test_pages_foreign_hosts_and_other_types_are_refused(headers, status):
    """What a web page can make a browser send is not answered."""
    with serving(Model()) as running:
        assert send(running, SCORING, **headers)[0] == status


def test_other_paths_and_methods_are_refused_in_openais_shape():
    """404 and 405."""
    with serving(Model()) as running:
        assert send(running, SCORING, "/v1/completions")[:2] == (
            404,
            {"error": {"message": "Not Found", "type": "invalid_request_error"}},
        )
        assert send(running, None, "/v1/chat/completions", "GET")[0] == 405


def test_token_is_demanded_and_never_shown():
    """Of every request but that for health; a wrong one, none, or one more letter is 401."""
    model = Model()
    rules = ServerRules(secret=Secret(TOKEN), checks_host=True, waiting_max=4)
    with serving(model, rules) as running:
        for header in ("", f"Bearer {TOKEN}x", f"bearer {TOKEN}", TOKEN, "Bearer \xff"):
            status, content, headers = send(running, SCORING, Authorization=header)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert TOKEN not in str(content)
        assert send(running, None, "/v1/models", "GET")[0] == 401
        assert send(running, None, "/health", "GET")[0] == 200
        assert model.asked == []
        assert send(running, SCORING, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert TOKEN not in repr(rules)


def test_full_queue_says_when_to_come_back():
    """One question at the model, one that waits; the others are sent away, and those two are answered."""
    model = Model()
    model.may_go.clear()
    answers: SimpleQueue[tuple[int, Any, dict[str, str]]] = SimpleQueue()
    with serving(model, ServerRules(secret=None, checks_host=True, waiting_max=1)) as running:
        asking = [threading.Thread(target=lambda: answers.put(send(running, SCORING))) for _ in range(4)]
        asking[0].start()
        assert model.began.acquire(timeout=20)
        for each in asking[1:]:
            each.start()
        refused = [answers.get(timeout=20) for _ in range(2)]
        model.may_go.set()
        answered = [answers.get(timeout=20) for _ in range(2)]
        for each in asking:
            each.join(20)
    assert [(status, headers["Retry-After"]) for status, _, headers in refused] == [(503, "1"), (503, "1")]
    assert [status for status, _, _ in answered] == [200, 200]


def test_model_that_fails_is_a_500_that_says_why_and_serves_again():
    """Such as a worker that is being started again."""
    model = Model()
    with serving(model) as running:
        model.fails = True
        status, content, _ = send(running, SCORING)
        model.fails = False
        again, _, _ = send(running, SCORING)

    assert (status, content["error"]["message"]) == (500, "the model gave no answer: no memory")
    assert again == 200


def test_question_whose_asker_has_gone_leaves_the_queue():
    """It never reaches the model; the next one does."""
    model = Model()
    model.may_go.clear()
    with serving(model, ServerRules(secret=None, checks_host=True, waiting_max=1)) as running:
        first = threading.Thread(target=lambda: send(running, SCORING))
        first.start()
        assert model.began.acquire(timeout=20)
        impatient = a_backend(running, timeout_s=0.2)
        with pytest.raises(Exception, match=r"within 0\.2 s"):
            impatient.start()
        impatient.close()
        model.may_go.set()
        first.join(20)
        assert send(running, SCORING)[0] == 200
    assert len(model.asked) == 2


def test_unix_socket_serves_whatever_the_host_header(tmp_path):
    """Who can open the file may ask; the url's host does not count."""
    path = tmp_path / "advisor.sock"
    rules = ServerRules(secret=None, checks_host=False, waiting_max=4)
    with serving(Model(), rules, socket=path):
        backend = a_backend(None, url="http://advisor.example/v1", socket=str(path))
        backend.start()
        answer = backend.ask(a_question())
        backend.close()
    assert answer.status is AdviceStatus.USED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def any_server() -> Iterator[Running]:
    with serving(Model()) as running:
        yield running


@settings(max_examples=80)
@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "messages": st.just(MESSAGES) | JSON,
            "model": st.just("tiny") | JSON,
            "logprobs": st.just(True) | JSON,
            "top_logprobs": st.integers(-3, 10**20) | JSON,
            "guided_choice": st.lists(st.sampled_from(["BUY", "HOLD", "x"]), max_size=3) | JSON,
            "valid_actions": JSON,
            "structured_outputs": JSON,
            "n": JSON,
            "stream": JSON,
        },
    )
)
def test_any_json_is_answered_or_refused(any_server, fields):
    """No field of any type makes the server fail."""
    assert send(any_server, fields)[0] in {200, 400, 404}
