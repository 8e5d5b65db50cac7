"""`trader advisor ask` and `serve`: what they print, what they refuse, how the server ends."""

import http.client
import json
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from trader.commands import advisor_ask, advisor_serve
from trader.domain.instruments import instrument
from trader.errors import ConfigurationError, UsageError
from trader.options import AskOptions, FileOptions, ServeOptions
from trader.settings import load_settings

RULES = FileOptions(overrides=["advisor.backend=rules"])

SERVER = textwrap.dedent(
    """
    import asyncio, math, sys
    from pathlib import Path
    from trader.adapters.openai.listening import at_socket
    from trader.adapters.openai.server import ServedModel, ServerRules
    from trader.advisor.question import Scores
    from trader.adapters.openai.serving import serve

    def ask(prompt, mask):
        return Scores((math.log(0.5), math.log(0.3), math.log(0.2), None, None, None), 0.9)

    model = ServedModel(identity="fake", mode="score", ask=ask, is_ready=lambda: True)
    rules = ServerRules(secret=None, checks_host=False, waiting_max=1)
    with at_socket(Path(sys.argv[1])) as listening:
        asyncio.run(serve(model, rules, listening, lambda line: print(line, flush=True)))
    """
)


class OverSocket(http.client.HTTPConnection):
    """HTTP through a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def asked(capsys: pytest.CaptureFixture[str], **figures: object) -> dict:
    """The JSON of one question to the rules; it has to be answered."""
    assert advisor_ask.run(RULES, AskOptions(**figures), as_json=True) == 0
    return json.loads(capsys.readouterr().out)


def test_ask_prints_advice_and_what_a_model_would_be_told(capsys):
    """The prompt with the figures that were given; no probabilities, as the rules have none."""
    found = asked(capsys, price=12_345.5, adx=41.0, rsi=61.0, time="2022-02-03 10:31", losses=2)

    assert (found["action"], found["status"], found["probabilities"]) == ("BUY", "used", None)
    told = found["messages"][-1][1]
    for line in (
        "Price: $12345.50",
        "- ADX: 41.0",
        "- RSI: 61.0",
        "Time: 2022-02-03 10:31 ET",
        "Consecutive Losses: 2",
    ):
        assert line in told
    assert told.endswith("Valid now: HOLD, BUY, SELL")


def test_ask_in_a_position_offers_what_can_be_done_with_it(capsys):
    """Unrealised profit follows from entry and price: ten points of one NQ are 200 $."""
    found = asked(capsys, position="short", price=12_000.0, entry=12_010.0, trailing=True)

    told = found["messages"][-1][1]
    assert told.endswith("Valid now: HOLD, MOVE_TO_BE, DISABLE_TRAIL")
    assert "Unrealized P&L: $+200" in told


def test_ask_takes_entry_and_stop_from_price_and_atr():
    """The stop lies execution.stop_atr away, on the side that loses."""
    settings = load_settings(profile="paper", overrides=[], environ={})
    market = instrument("NQ")
    held = advisor_ask.question_from(AskOptions(position="long", price=12_000.0, atr=10.0), market, settings)

    assert (held.entry_price, held.stop_price, held.initial_risk_cents) == (12_000.0, 11_985.0, 30_000)
    assert advisor_ask.question_from(AskOptions(), market, settings).entry_price is None


def test_ask_prints_a_table_for_people(capsys):
    """Answer first, prompt after it."""
    assert advisor_ask.run(RULES, AskOptions(), as_json=False) == 0
    text = capsys.readouterr().out
    assert text.index("advice     BUY") < text.index("[system]") < text.index("Valid now: ")


def test_table_of_scores_is_in_order_of_likelihood():
    """With the legal mass."""
    told = advisor_ask.Asked(
        identity="m",
        started_s=1.0,
        latency_ms=2.0,
        status="used",
        error=None,
        prompt_sha256="ab",
        messages=(("user", "x"),),
        reply=None,
        probabilities={"HOLD": 0.2, "BUY": 0.7, "SELL": 0.1},
        legal_mass=0.83,
        action=None,
        confidence=None,
        reason=None,
    )
    text = advisor_ask.table(told)
    assert text.index("BUY") < text.index("HOLD") < text.index("SELL")
    assert "legal mass 0.8300" in text
    failed = msgspec.structs.replace(told, status="error", error="no answer", probabilities=None, legal_mass=None)
    assert "status     error: no answer" in advisor_ask.table(failed)
    steering = msgspec.structs.replace(told, reason="up\x1b[2J", reply="\x1b[2J", error="\x1b[2J")
    assert "\x1b" not in advisor_ask.table(steering)


@pytest.mark.parametrize(
    "overrides",
    [["advisor.backend=off"], ["advisor.backend=recorded", "advisor.recorded_from=x"], ["advisor.backend=ensemble"]],
)
def test_ask_needs_somebody_who_answers(overrides):
    """Neither `off` nor a log answers what nobody asked before; an ensemble's members answer by name."""
    with pytest.raises(UsageError, match="answers no question by hand"):
        advisor_ask.run(FileOptions(overrides=overrides), AskOptions(), as_json=False)


@pytest.mark.parametrize("time", ["noon", "2023-03-15T10:00+02:00", "2023-02-30 10:00"])
def test_ask_refuses_what_is_no_time_of_new_york(time):
    """With an example of one."""
    with pytest.raises(UsageError, match="such as 2023-03-15 10:00"):
        advisor_ask.run(RULES, AskOptions(time=time), as_json=False)


def test_ask_says_that_nobody_listens():
    """The server's place, and what to look at."""
    files = FileOptions(overrides=["advisor.backend=openai", "advisor.openai.socket=/nonexistent/advisor.sock"])
    with pytest.raises(ConfigurationError, match=r"cannot connect to /nonexistent/advisor\.sock"):
        advisor_ask.run(files, AskOptions(), as_json=False)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (ServeOptions(host="0.0.0.0"), "put a proxy"),  # noqa: S104
        (ServeOptions(socket=Path("a.sock"), port=8_000), "give either"),
        (ServeOptions(socket=Path("a.sock"), host="127.0.0.1"), "give either"),
    ],
)
def test_serve_refuses_before_a_model_is_loaded(wanted, words):
    """Loading takes minutes."""
    with pytest.raises(UsageError, match=words):
        advisor_serve.run(RULES, wanted)


def test_serve_refuses_a_credential_that_others_can_read(tmp_path):
    """As the back end does."""
    path = tmp_path / "token"
    path.write_text("secret")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"--credential: .*chmod 600") as raised:
        advisor_serve.run(RULES, ServeOptions(port=0, credential=path))
    assert "secret" not in str(raised.value)


def test_server_answers_until_sigterm_and_leaves_nothing(tmp_path):
    """Exit 0; the socket's file was its owner's alone, and is gone."""
    path = tmp_path / "advisor.sock"
    with subprocess.Popen([sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"serving fake (score) at {path}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connection = OverSocket(path)
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read()) == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        connection.close()
    assert not path.exists()
