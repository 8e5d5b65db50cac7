"""The daemon's end: whatever the worker does, each question has an answer, and nothing is left behind."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_builders import (
    FAULTY,
    PATIENCE_S,
    PROMPTS,
    QUICK_S,
    RULES,
    a_backend,
    children,
    fds,
    keepers,
    tell,
    wait_until,
)

from trader.adapters.phi3.keeper import LONGEST_PAUSE_S, RestartPause, WorkerRules
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.protocol import FRAME_BYTES
from trader.adapters.phi3.worker_backend import WorkerBackend
from trader.advisor.prompt import Message, Prompt
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what is left behind in /proc")
TALKS_NONSENSE = {
    "garbage": "is no message",
    "pickle": "is no message",
    "empty": "is no message",
    "text": "at most 262144 are taken",
    "gigabyte": "at most 262144 are taken",
    "endless": "answers question 0, which nobody asked",
    "stranger": "answers question 999, which nobody asked",
    "greeting": "says twice that it is ready",
    "flood": "printed more than 16 MiB",
}
DIES = {
    "exit": "ended with exit code 3 (the driver is gone)",
    "kill": "killed by SIGKILL, perhaps for lack of memory",
    "crash": "killed by SIGSEGV",
    "close": "closed its connection",
}
ASKS_FOR_AN_END = {"device": "CUDA error", "memory": "out of memory"}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process, thread or file descriptor more than before."""
    before = len(children()), keepers(), fds()
    yield
    assert (len(children()), keepers(), fds()) == before


@pytest.fixture(scope="module")
def shared() -> Iterator[WorkerBackend]:
    """One for all faults, as in a daemon's life."""
    backend = a_backend()
    backend.start()
    yield backend
    backend.close()
    assert (children(), keepers()) == (set(), 0)


@pytest.fixture
def quick() -> Iterator[WorkerBackend]:
    """With a short time for replies, for workers that never reply."""
    backend = a_backend(reply_timeout_s=QUICK_S)
    backend.start()
    yield backend
    backend.close()


def test_reply_becomes_an_answer_with_its_trace(shared: WorkerBackend) -> None:
    """Advice, the prompt's hash, what was said, and how long it took."""
    answer = tell(shared, "answer", seq=7)
    assert (answer.status, answer.visible_from_bar, answer.prompt_sha256) == (AdviceStatus.USED, 7, f"{7:064x}")
    assert answer.advice is not None
    assert (answer.advice.action, answer.advice.verbal, answer.advice.reason) == (Action.BUY, 0.75, "calm")
    assert answer.trace is not None
    assert (answer.trace.backend, answer.trace.messages) == ("phi3", (("user", "answer"),))
    assert answer.trace.reply == "BUY | 0.75 | calm"
    assert answer.trace.latency_ms is not None


def test_replay_waits_for_the_worker_that_replaces_a_dead_one() -> None:
    """Its bars can wait: a death costs one answer, not all that would be asked until the model is loaded again."""
    backend = a_backend(restart_pause_s=0.2, waits_s=PATIENCE_S)
    backend.start()
    try:
        statuses = [tell(backend, what).status for what in ("answer", "kill", "answer", "answer")]
    finally:
        backend.close()
    used = AdviceStatus.USED
    assert statuses == [used, AdviceStatus.ERROR, used, used]


@pytest.mark.parametrize(("fault", "words"), (TALKS_NONSENSE | DIES | ASKS_FOR_AN_END).items())
def test_fault_ends_in_an_error_and_a_new_worker(shared: WorkerBackend, fault: str, words: str) -> None:
    """The question that met it says what happened, the next says that a worker is on its way, then all is well."""
    wait_until(lambda: shared.is_ready)
    pid = shared.pid
    answer = tell(shared, fault)
    assert answer.status is AdviceStatus.ERROR
    assert words in (answer.error or "")
    assert answer.trace is not None
    meanwhile = tell(shared, "answer")
    # A busy machine may have the next worker ready before this thread runs again.
    assert meanwhile.status is AdviceStatus.USED or words in (meanwhile.error or "")
    wait_until(lambda: shared.is_ready)
    assert shared.pid != pid
    assert tell(shared, "answer").status is AdviceStatus.USED


@pytest.mark.parametrize("fault", ["hang", "lock", "half"])
def test_silent_worker_is_killed_when_its_time_is_up(quick: WorkerBackend, fault: str) -> None:
    """Even one that keeps its interpreter's lock, or stops in the middle of a message."""
    pid = quick.pid
    assert pid is not None
    watch = os.pidfd_open(pid)
    try:
        answer = tell(quick, fault)
        assert (answer.status, answer.error) == (AdviceStatus.ERROR, "it did not answer within 0.4 s")
        assert select.select([watch], [], [], PATIENCE_S)[0]
    finally:
        os.close(watch)
    wait_until(lambda: quick.is_ready)
    assert quick.starts == 2


def test_generation_that_takes_too_long_is_cancelled_and_the_worker_lives(quick: WorkerBackend) -> None:
    """Loading a model again would cost more than the answer."""
    pid = quick.pid
    answer = tell(quick, "slow")
    assert (answer.status, answer.error) == (AdviceStatus.ERROR, "it was cancelled")
    assert quick.pid == pid


@pytest.mark.parametrize(("what", "words"), [("raise", "ValueError: a bad day"), ("print", None)])
def test_model_that_raises_or_prints_keeps_its_worker(shared: WorkerBackend, what: str, words: str | None) -> None:
    """An error of one question is no error of the process."""
    wait_until(lambda: shared.is_ready)
    pid = shared.pid
    assert tell(shared, what).error == words
    assert tell(shared, "answer").status is AdviceStatus.USED
    assert shared.pid == pid


def test_question_too_long_to_send_is_an_error_of_its_own(shared: WorkerBackend) -> None:
    """The worker has done nothing wrong, and stays."""
    wait_until(lambda: shared.is_ready)
    pid = shared.pid
    answer = tell(shared, "x" * FRAME_BYTES)
    assert answer.status is AdviceStatus.ERROR
    assert f"at most {FRAME_BYTES} can be sent" in (answer.error or "")
    assert tell(shared, "answer").status is AdviceStatus.USED
    assert shared.pid == pid


def test_worker_killed_while_it_answers_is_replaced(shared: WorkerBackend) -> None:
    """kill -9 from outside, in the middle of a question."""
    wait_until(lambda: shared.is_ready)
    pid = shared.pid
    assert pid is not None
    killer = threading.Timer(0.05, os.kill, (pid, signal.SIGKILL))
    killer.start()
    answer = tell(shared, "hang")
    killer.join()
    assert "killed by SIGKILL" in (answer.error or "")
    wait_until(lambda: shared.is_ready)
    assert tell(shared, "answer").status is AdviceStatus.USED


def test_scores_come_without_advice() -> None:
    """The calibration makes the advice of them."""
    backend = a_backend(mode="score")
    backend.start()
    answer = tell(backend, "answer")
    backend.close()
    assert (answer.status, answer.advice) == (AdviceStatus.USED, None)
    assert answer.scores is not None
    assert [log_prob is not None for log_prob in answer.scores.log_probs] == [True, True, True, False, False, False]


def test_reason_comes_after_the_answer_and_names_its_action() -> None:
    """What fails in it is said in its place."""
    reasons: list[tuple[str, str]] = []
    backend = a_backend(mode="score", wants_reason=True, on_reason=lambda *told: reasons.append(told))
    backend.start()
    assert tell(backend, "answer", seq=1).status is AdviceStatus.USED
    wait_until(lambda: len(reasons) == 1)
    assert tell(backend, "no-reason", seq=2).status is AdviceStatus.USED
    wait_until(lambda: len(reasons) == 2)
    backend.close()
    assert reasons == [
        (f"{1:064x}", "BUY: above a rising VWAP"),
        (f"{2:064x}", "BUY: no reason: ValueError: nothing to say"),
    ]


def test_reason_in_progress_gives_way_to_the_next_question() -> None:
    """The next answer waits for a token of it, not for its end; it is never told."""
    reasons: list[str] = []
    backend = a_backend(mode="score", wants_reason=True, on_reason=lambda _, text: reasons.append(text))
    backend.start()
    assert tell(backend, "slow-reason", seq=1).status is AdviceStatus.USED
    assert tell(backend, "answer", seq=2).status is AdviceStatus.USED
    wait_until(lambda: bool(reasons))
    assert (reasons, backend.starts) == (["BUY: above a rising VWAP"], 1)
    backend.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuse", "there is no such model; give a folder"),
        ("exit", "exit code 3 (the driver is gone)"),
        ("garbage", "is no message"),
        ("raise", "ValueError: a bad day"),
        ("hang", "was not ready within 0.4 s"),
        ("lock", "was not ready within 0.4 s"),
    ],
)
def test_worker_that_cannot_start_is_a_configuration_error(tmp_path: Path, fault: str, words: str) -> None:
    """In its own words; nothing goes on behind it."""
    (tmp_path / f"start-{fault}").touch()
    limit_s = QUICK_S if fault in {"hang", "lock"} else PATIENCE_S
    backend = a_backend(name=str(tmp_path), start_timeout_s=limit_s)
    with pytest.raises(ConfigurationError, match="the language model did not start") as caught:
        backend.start()
    assert words in str(caught.value)
    assert tell(backend, "answer").error == str(caught.value)


def test_command_that_does_not_exist_is_a_configuration_error(tmp_path: Path) -> None:
    """As where Python itself was moved away."""
    backend = WorkerBackend(ModelOptions(name="x"), PROMPTS, WorkerRules(**RULES), command=(str(tmp_path / "nothing"),))
    with pytest.raises(ConfigurationError, match="No such file"):
        backend.start()


def test_restart_that_fails_is_tried_again_until_it_succeeds(tmp_path: Path) -> None:
    """Meanwhile each question says why at once."""
    backend = a_backend(name=str(tmp_path), restart_pause_s=0.01)
    backend.start()
    obstacle = tmp_path / "start-refuse"
    obstacle.touch()
    assert tell(backend, "exit").status is AdviceStatus.ERROR
    wait_until(lambda: backend.starts >= 3)
    assert "there is no such model" in (tell(backend, "answer").error or "")
    obstacle.unlink()
    wait_until(lambda: backend.is_ready)
    assert tell(backend, "answer").status is AdviceStatus.USED
    backend.close()


def test_pause_doubles_up_to_five_minutes_and_an_answer_resets_it() -> None:
    """A worker that dies of every question must not load its model all day."""
    pause = RestartPause(5.0)
    assert [pause.after_failure() for _ in range(8)] == [5, 10, 20, 40, 80, 160, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    pause.after_success()
    assert pause.after_failure() == 5


def test_model_is_warmed_up_with_the_probes_before_it_is_ready() -> None:
    """A probe that it cannot take is found at the start."""
    probe = Prompt(messages=(Message("user", "raise"),), sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="ValueError: a bad day"):
        a_backend(probes=(probe,)).start()


def test_pause_of_a_worker_grows_with_its_failures_until_it_answers() -> None:
    """To be ready is no success: a worker may die of every question."""
    backend = a_backend(restart_pause_s=0.001)
    backend.start()
    for _ in range(3):
        tell(backend, "exit")
        wait_until(lambda: backend.is_ready)
    pause = backend._keeper._pause
    assert pause.after_failure() == 0.008
    assert tell(backend, "answer").status is AdviceStatus.USED
    wait_until(lambda: pause.after_failure() == 0.001)  # the reply is handed over just before
    backend.close()


def test_question_in_the_pause_says_how_long_it_lasts() -> None:
    """And does not wait for it."""
    backend = a_backend(restart_pause_s=100.0)
    backend.start()
    tell(backend, "exit")
    assert re.search(r"restarts in (100|\d\d) s", tell(backend, "answer").error or "")
    backend.close()


@pytest.mark.parametrize("fault", ["hang", "lock"])
def test_close_ends_the_question_in_progress(tmp_path: Path, fault: str) -> None:
    """From another thread; afterwards every question says that the advisor was closed."""
    backend = a_backend(name=str(tmp_path))
    backend.start()
    errors: list[str | None] = []
    asking = threading.Thread(target=lambda: errors.append(tell(backend, fault).error))
    asking.start()
    wait_until((tmp_path / "begun").exists)
    backend.close()
    asking.join(PATIENCE_S)
    assert errors == ["the advisor was closed"]
    assert tell(backend, "answer").error == "the advisor was closed"
    backend.close()


def test_close_ends_a_start_in_progress(tmp_path: Path) -> None:
    """A daemon that is stopped while its model loads stops."""
    (tmp_path / "start-hang").touch()
    backend = a_backend(name=str(tmp_path))
    closer = threading.Thread(target=lambda: (wait_until(lambda: backend.starts == 1), backend.close()))
    closer.start()
    with pytest.raises(ConfigurationError, match="the advisor was closed"):
        backend.start()
    closer.join()


def test_memory_limit_ends_the_hoarder_alone() -> None:
    """The allocation fails in the worker, which says so and is replaced."""
    backend = a_backend(memory_limit_gib=1.0)
    backend.start()
    assert tell(backend, "hoard").error == "out of memory"
    wait_until(lambda: backend.is_ready)
    assert tell(backend, "answer").status is AdviceStatus.USED
    backend.close()


def test_interrupt_of_the_terminal_does_not_reach_the_worker(shared: WorkerBackend) -> None:
    """It has a session of its own, and ignores the signal where somebody sends it to it."""
    wait_until(lambda: shared.is_ready)
    pid = shared.pid
    assert pid is not None
    assert os.getsid(pid) == os.getpgid(pid) == pid
    os.killpg(pid, signal.SIGINT)
    assert tell(shared, "answer").status is AdviceStatus.USED
    assert shared.pid == pid


@pytest.mark.parametrize("doing", ["hang", "lock"])
def test_death_of_the_daemon_ends_the_worker(tmp_path: Path, doing: str) -> None:
    """Also of a worker whose interpreter is stuck in a C call: the kernel ends it."""
    script = (
        "import sys, threading; sys.path[:0] = sys.argv[1:3]\n"
        "from worker_builders import *\n"
        "folder, doing = Path(sys.argv[3]), sys.argv[4]\n"
        "backend = a_backend(name=str(folder)); backend.start()\n"
        "threading.Thread(target=tell, args=(backend, doing), daemon=True).start()\n"
        "wait_until((folder / 'begun').exists); print(backend.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", script, str(here), str(here.parents[1]), str(tmp_path), doing]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        watch = os.pidfd_open(int(daemon.stdout.readline()))
        daemon.kill()
        try:
            assert select.select([watch], [], [], PATIENCE_S)[0]
        finally:
            os.close(watch)


def test_identity_is_known_without_the_model_and_names_what_differs() -> None:
    """Model and revision, precision, mode, how replies are drawn, prompt; a folder by its own name."""

    def identity(**options: object) -> str:
        made = ModelOptions(**{"name": "a/model", "revision": "abc"} | options)  # type: ignore[arg-type]
        return WorkerBackend(made, PROMPTS, WorkerRules(**RULES), command=FAULTY).identity

    variants: list[dict[str, object]] = [
        {},
        {"name": "b/model"},
        {"revision": "abd"},
        {"quantization": "int4"},
        {"mode": "generate"},
        {"mode": "generate", "max_new_tokens": 20},
        {"mode": "generate", "chain_of_thought": True},
        {"mode": "generate", "sample": True},
        {"mode": "generate", "sample": True, "seed": 2},
    ]
    assert len({identity(**variant) for variant in variants}) == len(variants)
    assert identity() == "phi3 a/model@abc int8 score prompt=p1"
    assert identity(name="/somewhere/tiny", revision=None) == "phi3 tiny int8 score prompt=p1"
