"""Keeps a worker: starts it, hears what it says, kills it when it is of no use, starts the next after a pause.

One thread does all of it for as long as the back end lives, so that neither loading a model nor waiting for a pause is
ever on a question's path. It is also the thread whose end the kernel tells the worker of: see worker.py.
"""

import os
import selectors
import threading
from collections.abc import Callable
from typing import assert_never

from msgspec import Struct

from trader.adapters.phi3.desk import Desk, State, WorkerDownError
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.process import WorkerEndedError, WorkerProcess, WorkerRefusedError
from trader.adapters.phi3.protocol import (
    Failed,
    FromWorker,
    Ready,
    Reason,
    Reply,
    Scored,
    Start,
    StartFailed,
    Written,
)
from trader.advisor.prompt import Prompt

__all__ = ["Keeper", "RestartPause", "WorkerDownError", "WorkerRules"]

THREAD_NAME = "advisor-worker"
CLOSE_PATIENCE_S = 3.0
LONGEST_PAUSE_S = 300.0
GIB = 1024**3


class WorkerRules(Struct, frozen=True, kw_only=True):
    """How long the worker may take, and how much memory.

    A start that takes longer than `start_timeout_s`, or an answer that takes longer than `reply_timeout_s` and does not
    end when cancelled, ends the process. The next one starts `restart_pause_s` later; the pause doubles with each
    failure in a row, to LONGEST_PAUSE_S at most. `memory_limit_gib` is the process's; None is no limit.
    """

    start_timeout_s: float
    reply_timeout_s: float
    restart_pause_s: float
    memory_limit_gib: float | None


class RestartPause:
    """How long to wait before the next start, in seconds."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._next_s = first_s

    def after_failure(self) -> float:
        """The pause after one more failure in a row."""
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_PAUSE_S)
        return pause_s

    def after_success(self) -> None:
        """An answer came: the next failure is the first again."""
        self._next_s = self._first_s


class Keeper:
    """One worker at a time. `on_reason(sha256 of the prompt, reason)` is called in the keeper's thread."""

    def __init__(
        self,
        command: tuple[str, ...],
        options: ModelOptions,
        rules: WorkerRules,
        clock: Callable[[], float],
        on_reason: Callable[[str, Reason], None],
        probes: tuple[Prompt, ...] = (),
    ) -> None:
        limit_bytes = None if rules.memory_limit_gib is None else int(rules.memory_limit_gib * GIB)
        self._command = command
        self._start = Start(options=options, probes=probes, memory_limit_bytes=limit_bytes)
        self._rules = rules
        self._clock = clock
        self._on_reason = on_reason
        self._pause = RestartPause(rules.restart_pause_s)
        self._thread: threading.Thread | None = None
        self._closing = threading.Lock()
        self._wake_fd, self._waker_fd = -1, -1
        self.desk = Desk(rules.reply_timeout_s, clock, self._wake)
        self.starts = 0
        self.identity = ""

    @property
    def is_ready(self) -> bool:
        """Whether a question would be put to the model now."""
        return self.desk.state is State.READY

    @property
    def pid(self) -> int | None:
        """The ready worker's process id."""
        return self.desk.pid

    def ask(self, prompt: Prompt, mask: int) -> Reply:
        """The worker's reply, in bounded time; WorkerDownError says why there is none."""
        return self.desk.ask(prompt, mask)

    def start(self) -> None:
        """Start the first worker, and wait until it is ready; WorkerDownError says why it is not."""
        with self._closing:
            self._wake_fd, self._waker_fd = os.pipe()
            os.set_blocking(self._wake_fd, False)
            self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            self._thread.start()
        self.desk.wait_for_start()

    def close(self, why: str = "the advisor was closed") -> None:
        """End worker and thread; questions, one in progress too, end with `why`. From any thread, once or more."""
        self.desk.close(why)
        with self._closing:
            if self._thread is None:
                return
            self._wake()
            self._thread.join(CLOSE_PATIENCE_S)
            if not self._thread.is_alive():
                self._thread = None
                os.close(self._wake_fd)
                os.close(self._waker_fd)

    def _wake(self) -> None:
        os.write(self._waker_fd, b"\0")

    def _run(self) -> None:
        while self.desk.state is not State.CLOSED:
            self._live()
            self._rest()

    def _live(self) -> None:
        """One worker's life."""
        worker = None
        self.starts += 1
        try:
            worker = WorkerProcess(self._command)
            self._serve(worker)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, this worker goes, and askers are told why
            self._mourn(error, "" if worker is None else worker.last_words())
        finally:
            if worker is not None:
                worker.end()

    def _mourn(self, error: Exception, last_words: str) -> None:
        name = "" if isinstance(error, WorkerEndedError) else f"{type(error).__name__}: "
        is_clear = isinstance(error, WorkerRefusedError) or not last_words
        why = f"{name}{error}" if is_clear else f"{name}{error} ({last_words})"
        self.desk.go_down(why, self._pause.after_failure())

    def _serve(self, worker: WorkerProcess) -> None:
        """Until closed; WorkerEndedError where the worker is of no more use."""
        ready_by_s = self._clock() + self._rules.start_timeout_s
        worker.send(self._start)
        with selectors.DefaultSelector() as selector:
            for fd in (self._wake_fd, worker.talking_fd, worker.printing_fd):
                selector.register(fd, selectors.EVENT_READ)
            while self.desk.state is not State.CLOSED:
                if self.desk.doom is not None:
                    raise WorkerEndedError(self.desk.doom)
                ready = {key.fd for key, _ in selector.select(self._patience(ready_by_s))}
                if worker.printing_fd in ready and not worker.listen():
                    selector.unregister(worker.printing_fd)
                if worker.talking_fd in ready:
                    for message in worker.read():
                        self._hear(message, worker)
                if self._wake_fd in ready:
                    self._drain()

    def _patience(self, ready_by_s: float) -> float | None:
        """How long to wait for the worker to say something, in seconds; None without limit."""
        if self.desk.state is not State.LOADING:
            return None
        left_s = ready_by_s - self._clock()
        if left_s <= 0:
            msg = f"it was not ready within {self._rules.start_timeout_s:g} s"
            raise WorkerEndedError(msg)
        return left_s

    def _hear(self, message: FromWorker, worker: WorkerProcess) -> None:
        """What the worker says; WorkerEndedError where it should not say this now."""
        match message:
            case Ready():
                self.identity = message.identity
                self.desk.greet(worker)
            case StartFailed():
                raise WorkerRefusedError(message.message)
            case Scored() | Written() | Failed():
                if self.desk.take(message):
                    self._pause.after_success()
            case Reason():
                self._on_reason(self.desk.take_reason(message), message)
            case _ as never:
                assert_never(never)

    def _rest(self) -> None:
        """Wait until the next start is due, or until closed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            while self.desk.state is State.DOWN and (left_s := self.desk.retry_s - self._clock()) > 0:
                if selector.select(left_s):
                    self._drain()
        self.desk.begin_loading()

    def _drain(self) -> None:
        """Forget the wake-ups so far; what they were about stands at the desk."""
        os.read(self._wake_fd, 4_096)
