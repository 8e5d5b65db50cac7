"""The process that holds the model: `python -m trader.adapters.phi3.worker FD`, FD being its end of a socket pair.

The model lives in the main thread. A second thread reads, so that a newer question or a Cancel stops a generation
within a token; nothing interrupts a forward pass. The process ends with the daemon: by the end of the socket, and,
where a C call keeps the interpreter's lock so that nobody can read it, by the kernel's signal at the end of the thread
that started it (Linux). Whatever is printed goes to the daemon, which keeps the last lines.
"""

import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn

from trader.adapters.phi3.loading import check_installed
from trader.adapters.phi3.protocol import (
    REPLY_CHARS,
    TEXT_CHARS,
    Ask,
    Cancel,
    Failed,
    FailureKind,
    FromWorker,
    Ready,
    Reason,
    Scored,
    Start,
    StartFailed,
    ToWorker,
    Written,
    frame,
    frames_to_worker,
)
from trader.errors import TraderError

if TYPE_CHECKING:
    from trader.adapters.phi3.model import Phi3Model
    from trader.adapters.phi3.options import ModelOptions
    from trader.advisor.question import Scores

CHUNK_BYTES = 64 * 1024
NICENESS = 5
"""Below the daemon's priority: where they share cores, a bar is decided first."""
_PR_SET_PDEATHSIG = 1
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
_DEVICE = ("CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "MPS backend")


class Inbox:
    """What the daemon sends, read in a thread of its own. `on_end` is called there when the daemon is gone."""

    def __init__(self, connection: socket.socket, on_end: Callable[[], None]) -> None:
        self._connection = connection
        self._on_end = on_end
        self._messages: SimpleQueue[Start | Ask | None] = SimpleQueue()
        self._newest = 0
        self._cancelled = 0
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next(self) -> Start | Ask | None:
        """Wait for what is to be done; None at the end."""
        return self._messages.get()

    def is_wanted(self, number: int) -> bool:
        """Whether the daemon still wants question `number`, and no other one."""
        return self._newest == number and self._cancelled != number

    def _read(self) -> None:
        frames = frames_to_worker()
        try:
            while chunk := self._connection.recv(CHUNK_BYTES):
                for message in frames.take(chunk):
                    self._put(message)
        finally:
            self._messages.put(None)
            self._on_end()

    def _put(self, message: ToWorker) -> None:
        if isinstance(message, Cancel):
            self._cancelled = message.id
            return
        if isinstance(message, Ask):
            self._newest = message.id
        self._messages.put(message)


class Service:
    """Answers questions with one model, one after the other."""

    def __init__(self, model: "Phi3Model", options: "ModelOptions", inbox: Inbox, connection: socket.socket) -> None:
        self._model = model
        self._options = options
        self._inbox = inbox
        self._connection = connection

    def run(self) -> None:
        """Until the daemon is gone."""
        send(self._connection, Ready(identity=self._model.identity))
        while (ask := self._inbox.next()) is not None:
            if isinstance(ask, Ask):
                self._answer(ask)

    def _answer(self, ask: Ask) -> None:
        try:
            scores = self._reply(ask)
        except Exception as error:  # noqa: BLE001 - whatever the model raises is told; the daemon judges what it means
            send(self._connection, Failed(id=ask.id, kind=kind_of(error), message=text_of(error)))
            return
        if scores is not None and self._options.wants_reason and self._inbox.is_wanted(ask.id):
            self._explain(ask, scores)

    def _reply(self, ask: Ask) -> "Scores | None":
        """Send the answer; the scores, where there are any."""
        if self._options.mode == "score":
            scores: Scores = self._model.score(ask.prompt, ask.mask)
            send(self._connection, Scored(id=ask.id, scores=scores))
            return scores
        text = self._model.generate(ask.prompt, ask.mask, self._stops(ask))
        send(self._connection, Written(id=ask.id, text=text[-REPLY_CHARS:]))  # what counts is the last line
        return None

    def _explain(self, ask: Ask, scores: "Scores") -> None:
        """Off the decision's path. What fails here is said in the reason's place, or ends the process."""
        action = max(range(len(scores.log_probs)), key=lambda index: _or_never(scores.log_probs[index]))
        try:
            text = self._model.explain(ask.prompt, ask.mask, action, self._stops(ask))
        except Exception as error:  # whatever the model raises is said in the reason's place, or ends the process
            match kind_of(error):
                case FailureKind.CANCELLED:
                    return
                case FailureKind.ERROR:
                    text = f"no reason: {text_of(error)}"
                case FailureKind.OUT_OF_MEMORY | FailureKind.DEVICE:
                    raise
        send(self._connection, Reason(id=ask.id, action=action, text=text[:TEXT_CHARS]))

    def _stops(self, ask: Ask) -> Callable[[], bool]:
        return lambda: not self._inbox.is_wanted(ask.id)


def _or_never(log_prob: float | None) -> float:
    return float("-inf") if log_prob is None else log_prob


def send(connection: socket.socket, message: FromWorker) -> None:
    """Say it to the daemon; waits until it is taken."""
    connection.sendall(frame(message))


def kind_of(error: Exception) -> FailureKind:
    """What an exception of the model means for this process; torch tells by its text, or a class not imported here."""
    text = str(error)
    if type(error).__name__ == "GenerationStoppedError":
        return FailureKind.CANCELLED
    if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        return FailureKind.OUT_OF_MEMORY
    if type(error).__name__ == "AcceleratorError" or any(sign in text for sign in _DEVICE):
        return FailureKind.DEVICE
    return FailureKind.ERROR


def text_of(error: Exception) -> str:
    """What an exception says, for people."""
    if kind_of(error) is FailureKind.CANCELLED:
        return "it was cancelled"
    name = "out of memory" if isinstance(error, MemoryError) else type(error).__name__
    text = str(error) if isinstance(error, TraderError) else f"{name}: {error}" if str(error) else name
    return text[:TEXT_CHARS]


def die_with_parent() -> None:
    """Have the kernel end this process when the thread that started it ends, whatever is running here. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def limit_memory(limit_bytes: int | None) -> None:
    """Bound what this process may allocate for itself; beyond it allocations fail, here and nowhere else. Linux only.

    RLIMIT_DATA and not RLIMIT_AS: CUDA reserves address space by the terabyte and weights are mapped from their file;
    neither takes memory from anybody.
    """
    if limit_bytes is not None and sys.platform == "linux":
        import resource  # noqa: PLC0415 -- POSIX only

        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def share_cores() -> None:
    """Leave one core, and the first turn on all of them, to the daemon. To be called before torch is imported."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores - 1, 1)))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.nice(NICENESS)


def load(options: "ModelOptions") -> "Phi3Model":
    """The model, by an import that takes seconds; ConfigurationError where what it needs is not installed."""
    check_installed(options)
    from trader.adapters.phi3.model import Phi3Model  # noqa: PLC0415 -- torch and transformers: only where needed

    return Phi3Model(options)


def serve(connection: socket.socket, make: "Callable[[ModelOptions], Phi3Model]", on_end: Callable[[], None]) -> None:
    """Load what the daemon asks for, and answer until it is gone."""
    inbox = Inbox(connection, on_end)
    start = inbox.next()
    if not isinstance(start, Start):
        return
    limit_memory(start.memory_limit_bytes)
    try:
        model = make(start.options)
        model.prepare(start.probes)
    except Exception as error:  # noqa: BLE001 - whatever loading raises is told, and ends the process
        traceback.print_exc()
        send(connection, StartFailed(message=text_of(error)))
        return
    Service(model, start.options, inbox, connection).run()


def main(make: "Callable[[ModelOptions], Phi3Model]" = load) -> NoReturn:
    """Serve the file descriptor that is the command line's last word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    share_cores()
    connection = socket.socket(fileno=int(sys.argv[-1]))
    serve(connection, make, on_end=lambda: os._exit(0))
    os._exit(0)  # the reading thread is in a call that does not end; nothing here needs tidying


if __name__ == "__main__":
    main()
