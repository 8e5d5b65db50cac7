"""Where questions wait: what is open, who may answer it, and when the worker is of no more use."""

import threading
import time
from typing import Any

import pytest
from worker_builders import PATIENCE_S, wait_until

from trader.adapters.phi3.desk import Desk, State, WorkerDownError
from trader.adapters.phi3.process import WorkerEndedError
from trader.adapters.phi3.protocol import Ask, Cancel, Failed, FailureKind, Reason, Written
from trader.advisor.prompt import Message, Prompt

PROMPT = Prompt(messages=(Message("user", "now?"),), sha256="ab")
REPLY = Written(id=1, text="BUY | 0.75 | calm")
REASON = Reason(id=1, action=1, text="calm")


class Worker:
    """Takes messages, or refuses them."""

    pid = 4711

    def __init__(self, *, is_deaf: bool = False) -> None:
        self.sent: list[Ask | Cancel] = []
        self._is_deaf = is_deaf

    def send(self, message: Ask | Cancel) -> None:
        if self._is_deaf:
            msg = "it does not read what it is sent"
            raise WorkerEndedError(msg)
        self.sent.append(message)


class Asking:
    """A desk with a ready worker, and one question put to it in another thread."""

    def __init__(self, worker: Worker | None = None, reply_timeout_s: float = PATIENCE_S) -> None:
        self.wakes = 0
        self.worker = Worker() if worker is None else worker
        self.desk = Desk(reply_timeout_s, time.monotonic, self._wake)
        self.desk.greet(self.worker)  # type: ignore[arg-type]
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        if worker is None:
            wait_until(lambda: bool(self.worker.sent))

    def join(self) -> Any:
        self._thread.join(PATIENCE_S)
        return self.outcome

    def _ask(self) -> None:
        try:
            self.outcome = self.desk.ask(PROMPT, 0b111)
        except WorkerDownError as error:
            self.outcome = str(error)

    def _wake(self) -> None:
        self.wakes += 1


def test_reply_goes_to_who_asked() -> None:
    """And its reason to the same prompt."""
    asking = Asking()
    assert asking.worker.sent == [Ask(id=1, prompt=PROMPT, mask=0b111)]
    assert asking.desk.take(REPLY)
    assert asking.join() == REPLY
    assert asking.desk.take_reason(REASON) == "ab"


def test_second_reason_or_one_that_nobody_wants_ends_the_worker() -> None:
    """One for each answer."""
    asking = Asking()
    with pytest.raises(WorkerEndedError, match="needs none"):
        asking.desk.take_reason(REASON)
    asking.desk.take(REPLY)
    asking.desk.take_reason(REASON)
    with pytest.raises(WorkerEndedError, match="needs none"):
        asking.desk.take_reason(REASON)
    asking.join()


@pytest.mark.parametrize("number", [0, 2])
def test_reply_to_another_question_ends_the_worker(number: int) -> None:
    """Whoever waits must not get it."""
    asking = Asking()
    with pytest.raises(WorkerEndedError, match="which nobody asked"):
        asking.desk.take(Written(id=number, text="SELL"))
    asking.desk.go_down("it lies", 0.0)
    assert asking.join() == "it lies"


def test_second_reply_ends_the_worker() -> None:
    """One for each question."""
    asking = Asking()
    asking.desk.take(REPLY)
    with pytest.raises(WorkerEndedError, match="which nobody asked"):
        asking.desk.take(REPLY)
    asking.join()


@pytest.mark.parametrize("kind", FailureKind)
def test_failure_is_told_and_some_of_them_end_the_worker_at_once(kind: FailureKind) -> None:
    """No later question may reach a process whose memory or device has failed."""
    asking = Asking()
    failed = Failed(id=1, kind=kind, message="why")
    is_over = kind in {FailureKind.OUT_OF_MEMORY, FailureKind.DEVICE}
    if is_over:
        with pytest.raises(WorkerEndedError, match="why"):
            asking.desk.take(failed)
    else:
        assert not asking.desk.take(failed)
    assert asking.join() == failed
    assert asking.desk.state is (State.DOWN if is_over else State.READY)


def test_worker_that_takes_no_message_is_given_up() -> None:
    """The question ends at once, and the keeper is woken."""
    asking = Asking(Worker(is_deaf=True))
    assert asking.join() == "it does not read what it is sent"
    assert (asking.desk.state, asking.desk.doom, asking.wakes) == (State.DOWN, asking.outcome, 1)


def test_silent_worker_is_asked_to_stop_and_then_given_up() -> None:
    """In this order; what it says afterwards is for nobody."""
    asking = Asking(reply_timeout_s=0.05)
    assert asking.join() == "it did not answer within 0.05 s"
    assert [type(message) for message in asking.worker.sent] == [Ask, Cancel]
    assert (asking.desk.doom, asking.wakes) == (asking.outcome, 1)
    assert not asking.desk.take(REPLY)


def test_closed_desk_stays_closed() -> None:
    """Whatever the keeper's thread still reports."""
    asking = Asking()
    asking.desk.close()
    assert asking.join() == "the advisor was closed"
    asking.desk.go_down("it ended", 0.0)
    asking.desk.begin_loading()
    asking.desk.greet(asking.worker)  # type: ignore[arg-type]
    assert asking.desk.state is State.CLOSED
