"""Where a question waits for the worker's reply: between the asker's thread and the keeper's. At most one is open."""

import threading
from collections.abc import Callable
from enum import StrEnum

from trader.adapters.phi3.process import WorkerEndedError, WorkerProcess, WorkerRefusedError
from trader.adapters.phi3.protocol import NEEDS_RESTART, Ask, Cancel, Failed, ProtocolError, Reason, Reply
from trader.advisor.prompt import Prompt

CANCEL_PATIENCE_S = 1.0
"""How long a cancelled generation may go on: a token, which a small machine may take most of this for."""


class WorkerDownError(Exception):
    """There is no answer, and the message says why. Never leaves this package."""


class State(StrEnum):
    """How the worker is."""

    LOADING = "loading"
    READY = "ready"
    DOWN = "down"
    CLOSED = "closed"


class _Pending:
    """A question that somebody waits for."""

    __slots__ = ("done", "id", "reply", "sha256")

    def __init__(self, number: int, prompt: Prompt) -> None:
        self.id = number
        self.sha256 = prompt.sha256
        self.done = threading.Event()
        self.reply: Reply | str = ""  # a text says why there is none


class Desk:
    """One worker's questions and replies. `wake` tells the keeper's thread to look at `state` and `doom`.

    Methods that raise WorkerEndedError are the keeper's: the worker said what it should not, and has to go.
    """

    def __init__(self, reply_timeout_s: float, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        self._reply_timeout_s = reply_timeout_s
        self._clock = clock
        self._wake = wake
        self._changed = threading.Condition()
        self._worker: WorkerProcess | None = None
        self._pending: _Pending | None = None
        self._owes: _Pending | None = None  # whose reason may still come
        self._asked = 0
        self._trouble = ""  # why the last worker ended
        self.state = State.LOADING
        self.doom: str | None = None  # why an asker has given the worker up
        self.retry_s = 0.0

    @property
    def pid(self) -> int | None:
        """The ready worker's process id."""
        worker = self._worker
        return None if worker is None else worker.pid

    def wait_for_start(self) -> None:
        """Until the first worker is ready; WorkerDownError says why it is not."""
        with self._changed:
            self._changed.wait_for(lambda: self.state is not State.LOADING)
            if self.state is not State.READY:
                raise WorkerDownError(self._trouble)

    def wait_for_worker(self, patience_s: float) -> None:
        """Until one is ready, the desk is closed, or the patience is at its end."""
        with self._changed:
            self._changed.wait_for(lambda: self.state in {State.READY, State.CLOSED}, patience_s)

    def ask(self, prompt: Prompt, mask: int) -> Reply:
        """The worker's reply, in bounded time; WorkerDownError says why there is none."""
        pending = self._open(prompt, mask)
        if not pending.done.wait(self._reply_timeout_s):
            with self._changed:
                self._send(pending, Cancel(id=pending.id))
            if not pending.done.wait(min(CANCEL_PATIENCE_S, self._reply_timeout_s)):
                with self._changed:
                    if self._pending is pending:
                        self._condemn(f"it did not answer within {self._reply_timeout_s:g} s")
        if isinstance(pending.reply, str):
            raise WorkerDownError(pending.reply)
        return pending.reply

    def close(self, why: str = "the advisor was closed") -> None:
        """No more questions; the one in progress ends at once, with `why`."""
        with self._changed:
            if self.state is not State.CLOSED:
                self.state = State.CLOSED
                self._trouble = why
                self._settle(why)
                self._changed.notify_all()

    def begin_loading(self) -> None:
        """A worker is about to be started."""
        with self._changed:
            if self.state is State.DOWN:
                self.doom = None
                self.state = State.LOADING

    def greet(self, worker: WorkerProcess) -> None:
        """The worker says that it is ready; WorkerEndedError where it has said so before."""
        with self._changed:
            if self.state is State.READY:
                msg = "it says twice that it is ready"
                raise WorkerEndedError(msg)
            if self.state is State.LOADING:
                self._worker = worker
                self.state = State.READY
                self._changed.notify_all()

    def take(self, reply: Reply) -> bool:
        """Hand the reply to whoever waits. Whether it is an answer; WorkerEndedError where the worker has to go."""
        with self._changed:
            pending = self._pending
            if self.state is not State.READY:
                return False  # whoever asked has given up
            if pending is None or pending.id != reply.id:
                msg = f"it answers question {reply.id}, which nobody asked"
                raise WorkerEndedError(msg)
            self._settle(reply)
            if not isinstance(reply, Failed):
                self._owes = pending
                return True
            if reply.kind in NEEDS_RESTART:
                self._go_down(reply.message, 0.0)  # at once: the next question must not reach this worker
                raise WorkerRefusedError(reply.message)
            return False

    def take_reason(self, reason: Reason) -> str:
        """The hash of the prompt that this is a reason for; WorkerEndedError where nobody wants one."""
        owes = self._owes
        if owes is None or owes.id != reason.id:
            msg = f"it gives a reason for question {reason.id}, which needs none"
            raise WorkerEndedError(msg)
        self._owes = None
        return owes.sha256

    def go_down(self, why: str, pause_s: float) -> None:
        """There is no worker to ask, and there will not be one for `pause_s`."""
        with self._changed:
            if self.state is not State.CLOSED:
                self._go_down(why, pause_s)

    def _open(self, prompt: Prompt, mask: int) -> _Pending:
        with self._changed:
            if self.state is not State.READY:
                raise WorkerDownError(self._why_down())
            self._asked += 1
            pending = self._pending = _Pending(self._asked, prompt)
            self._send(pending, Ask(id=pending.id, prompt=prompt, mask=mask))
            return pending

    def _send(self, pending: _Pending, message: Ask | Cancel) -> None:
        if self._pending is pending and self._worker is not None:
            try:
                self._worker.send(message)
            except WorkerEndedError as error:
                self._condemn(str(error))
            except ProtocolError as error:  # the question is too long to send: the worker has done nothing wrong
                self._settle(str(error))

    def _condemn(self, why: str) -> None:
        """The asker gives the worker up; the keeper's thread ends it."""
        self.doom = why
        self._go_down(why, 0.0)
        self._wake()

    def _go_down(self, why: str, pause_s: float) -> None:
        self.state = State.DOWN
        self.retry_s = self._clock() + pause_s
        self._worker = None
        self._owes = None
        self._trouble = why
        self._settle(why)
        self._changed.notify_all()

    def _settle(self, reply: Reply | str) -> None:
        """Whoever waits has this for an answer."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.reply = reply
            pending.done.set()

    def _why_down(self) -> str:
        match self.state:
            case State.CLOSED:
                return self._trouble
            case State.LOADING:
                return f"the model is being loaded again: {self._trouble}"
            case _:
                wait_s = max(self.retry_s - self._clock(), 0.0)
                return f"the worker restarts in {wait_s:.0f} s: {self._trouble}"
