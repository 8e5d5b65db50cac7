"""One life of the process that holds the model: started, spoken to without ever waiting, killed and reaped."""

import contextlib
import os
import signal
import socket
import subprocess

from trader.adapters.phi3.protocol import FromWorker, ProtocolError, ToWorker, frame, frames_from_worker
from trader.errors import ConfigurationError

CHUNK_BYTES = 64 * 1024
SEND_BUFFER_BYTES = 1024 * 1024  # asked for; the kernel grants what it allows, which is more than one frame
CHATTER_BYTES = 16 * 1024 * 1024  # what a worker may print in its life: warnings, no more
LAST_BYTES = 4_096
LAST_LINES = 3
LAST_CHARS = 400
REAP_S = 1.0
DYING_S = 0.2


class WorkerEndedError(Exception):
    """The worker is of no more use: dead, silent, or talking nonsense. Never leaves this package."""


class WorkerRefusedError(WorkerEndedError):
    """The worker has said itself why it cannot do its work."""


class WorkerProcess:
    """A process of its own session, with a socket to talk through and a pipe for what it prints.

    Its own session keeps the terminal's Ctrl-C away from it: the daemon decides when it ends. To be ended by `end`,
    always; nothing here blocks but that, for REAP_S at most.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start `command` with the number of its file descriptor as last argument; OSError where that fails."""
        if os.name != "posix":
            msg = "advisor.worker.isolation: process needs Linux or macOS; set it to thread"
            raise ConfigurationError(msg)
        self._socket, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- this program's own worker
                    [*command, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                    start_new_session=True,
                )
            except BaseException:  # no process, so nobody will ever close the socket
                self._socket.close()
                raise
        self._has_ended = False
        self._frames = frames_from_worker()
        self._printed = bytearray()
        self._printed_bytes = 0
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._socket.settimeout(0)
        os.set_blocking(self.printing_fd, False)

    @property
    def pid(self) -> int:
        """The process's id, and that of its group."""
        return self._process.pid

    @property
    def talking_fd(self) -> int:
        """Readable when `read` has something to do."""
        return self._socket.fileno()

    @property
    def printing_fd(self) -> int:
        """Readable when `listen` has something to do."""
        assert self._process.stdout is not None  # noqa: S101 -- a pipe was asked for
        return self._process.stdout.fileno()

    def send(self, message: ToWorker) -> None:
        """Send without waiting; WorkerEndedError where the worker does not take it."""
        try:
            sent = frame(message)
            if self._socket.send(sent) == len(sent):
                return
        except OSError as error:
            msg = "it takes no more messages"
            raise WorkerEndedError(msg) from error
        msg = "it does not read what it is sent"
        raise WorkerEndedError(msg)

    def read(self) -> list[FromWorker]:
        """What it has said, perhaps nothing; WorkerEndedError where it ended or talks nonsense."""
        try:
            chunk = self._socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        if not chunk:
            raise WorkerEndedError(self._obituary())
        try:
            return self._frames.take(chunk)
        except ProtocolError as error:
            raise WorkerEndedError(str(error)) from error

    def listen(self) -> bool:
        """Take what it has printed. False once it will print no more."""
        try:
            chunk = os.read(self.printing_fd, CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._printed_bytes += len(chunk)
        if self._printed_bytes > CHATTER_BYTES:
            msg = f"it printed more than {CHATTER_BYTES >> 20} MiB"
            raise WorkerEndedError(msg)
        self._printed += chunk
        del self._printed[:-LAST_BYTES]
        return bool(chunk)

    def last_words(self) -> str:
        """The last lines that it printed, on one line; empty where there are none."""
        printed = self._printed.decode(errors="replace")
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        last = " / ".join(lines[-LAST_LINES:])[-LAST_CHARS:]
        return "".join(char if char.isprintable() else "?" for char in last)

    def end(self) -> None:
        """Kill it and whatever it started, reap it, close everything. Again does nothing."""
        if self._has_ended:
            return
        self._has_ended = True
        # macOS refuses a group of zombies. A leader reaped just now, by `read`, still lends its number to its children.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._exit_code(REAP_S)
        self._socket.close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _obituary(self) -> str:
        """How it ended, now that it has closed its socket."""
        code = self._exit_code(DYING_S)
        if code is None:
            return "it closed its connection"
        if code >= 0:
            return f"it ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"it was killed by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")

    def _exit_code(self, patience_s: float) -> int | None:
        """The exit code, None where the process does not end in time (a driver's call that cannot be interrupted)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(patience_s)
        return None
