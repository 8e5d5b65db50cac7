"""The real worker around a model that does what its prompt says: the last message is a fault by name.

`python faulty_worker.py FD`. What happens at start is named by a file in the folder that stands for the model.
"""

import ctypes
import math
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from trader.adapters.phi3 import worker
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.protocol import Ready, Written, frame
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores
from trader.errors import ConfigurationError

MIB = 1024**2
GIB = 1024**3
REPLY = "BUY | 0.75 | calm"
FD = int(sys.argv[-1]) if sys.argv[-1].isdigit() else -1


def hang() -> None:
    """Signals and other threads work; nothing else happens."""
    while True:
        signal.pause()


def keep_the_lock() -> None:
    """A C call that never gives the interpreter back: no other Python thread of the process runs."""
    ctypes.PyDLL(None).sleep(3_600)


def leave() -> None:
    """As a driver's library does that calls exit() on an error."""
    sys.stderr.write("the driver is gone\n")
    sys.stderr.flush()
    os._exit(3)


def hang_up() -> None:
    socket.socket(fileno=os.dup(FD)).shutdown(socket.SHUT_WR)
    hang()


def fail(error: Exception) -> None:
    raise error


def hoard() -> None:
    """Take memory piece by piece, until there is none."""
    held = [bytearray(64 * MIB) for _ in range(64)]
    msg = f"{len(held) * 64} MiB, and no limit"
    raise AssertionError(msg)


def write(data: bytes) -> None:
    """All of it to the daemon, until killed."""
    while data:
        data = data[os.write(FD, data) :]


def say(data: bytes, times: int = 1) -> None:
    """This in place of an answer."""
    for _ in range(times):
        write(data)
    hang()


def gigabyte() -> None:
    write(struct.pack("<I", GIB))
    say(bytes(MIB), times=GIB // MIB)


def chatter(chars: int, times: int) -> None:
    for _ in range(times):
        sys.stdout.write("x" * chars + "\n")
    sys.stdout.flush()


FAULTS: dict[str, Callable[[], None]] = {
    "hang": hang,
    "lock": keep_the_lock,
    "exit": leave,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "close": hang_up,
    "raise": lambda: fail(ValueError("a bad day")),
    "device": lambda: fail(RuntimeError("CUDA error: device-side assert triggered")),
    "memory": lambda: fail(MemoryError()),
    "hoard": hoard,
    "print": lambda: chatter(300_000, 1),
    "flood": lambda: chatter(65_536, 1 << 30),
    "garbage": lambda: say(struct.pack("<I", 40) + os.urandom(40)),
    "pickle": lambda: say(struct.pack("<I", 20) + b"\x80\x04cos\nsystem\n(S'id'\n"),
    "text": lambda: say(b"Traceback (most recent call last):\n"),
    "empty": lambda: say(struct.pack("<I", 0)),
    "half": lambda: say(frame(Written(id=1, text=REPLY))[:-3]),
    "gigabyte": gigabyte,
    "endless": lambda: say(frame(Written(id=0, text=REPLY)), times=1 << 30),
    "greeting": lambda: say(frame(Ready(identity="again"))),
    "stranger": lambda: say(frame(Written(id=999, text=REPLY))),
}


class FaultyModel:
    """Says REPLY, or what two in five is as scores, once it has done what it was told to."""

    identity = "faulty"

    def __init__(self, options: ModelOptions) -> None:
        self._folder = folder = Path(options.name)
        for path in folder.glob("start-*") if folder.is_dir() else ():
            self._begin(path.name.removeprefix("start-"))

    def score(self, prompt: Prompt, mask: int) -> Scores:
        self._obey(prompt, lambda: False)
        weights = [(2.0 if place == 1 else 1.0) * (mask >> place & 1) for place in range(6)]
        logs = tuple(math.log(weight / sum(weights)) if weight else None for weight in weights)
        return Scores(logs, 0.9)

    def prepare(self, probes: tuple[Prompt, ...]) -> None:
        for probe in probes:
            self._obey(probe, lambda: False)

    def generate(self, prompt: Prompt, mask: int, should_stop: Callable[[], bool]) -> str:
        self._obey(prompt, should_stop)
        return REPLY

    def explain(self, prompt: Prompt, mask: int, action: int, should_stop: Callable[[], bool]) -> str:
        match prompt.messages[-1].content:
            case "no-reason":
                fail(ValueError("nothing to say"))
            case "slow-reason":
                spin(should_stop)
        return "above a rising VWAP"

    def _begin(self, fault: str) -> None:
        if fault == "refuse":
            fail(ConfigurationError("there is no such model; give a folder"))
        FAULTS[fault]()

    def _obey(self, prompt: Prompt, should_stop: Callable[[], bool]) -> None:
        wish = prompt.messages[-1].content
        if wish == "slow":
            spin(should_stop)
        elif wish in FAULTS:
            if self._folder.is_dir():
                (self._folder / "begun").touch()
            FAULTS[wish]()


def spin(should_stop: Callable[[], bool]) -> None:
    """A generation, token by token."""
    while not should_stop():
        time.sleep(0.001)  # what a token takes: a loop that never lets go would be the fault `lock`
    raise GenerationStoppedError


class GenerationStoppedError(RuntimeError):
    """By the name of the real one, whose module imports torch."""


if __name__ == "__main__":
    worker.main(FaultyModel)  # type: ignore[arg-type]
