"""What a strategy reaches for besides its outlook: files, programs, networks. For a process of its own.

An audit hook (PEP 578) sees every file that is opened. The bar file itself is exchanged for an altered copy where it is
opened by Python's `open`, `io.open` or `os.open`, so that a strategy which reads it sees the same future as the engine.
"""

import builtins
import importlib
import io
import os
import sys
import sysconfig
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

import trader

_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib", ".nbi", ".nbc", ".pth", ".toml", ".cfg")
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/System", "/Library", "/opt")


class Reach(StrEnum):
    """What was reached for."""

    BARS = "bar file"
    BARS_UNALTERED = "bar file, by a way that cannot be altered"
    FILE = "file"
    PROGRAM = "program"
    NETWORK = "network"
    DATABASE = "database"


class Touch(Struct, frozen=True):
    """One thing outside the outlook, and its path, program or address."""

    reach: Reach
    name: str


_EVENTS = {
    "subprocess.Popen": Reach.PROGRAM,
    "os.system": Reach.PROGRAM,
    "os.exec": Reach.PROGRAM,
    "os.posix_spawn": Reach.PROGRAM,
    "socket.connect": Reach.NETWORK,
    "sqlite3.connect": Reach.DATABASE,
}


def program_folders() -> tuple[str, ...]:
    """Where this program, Python and its libraries live: what lies elsewhere is the user's."""
    folders = (str(Path(trader.__file__).parent), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())
    return tuple(dict.fromkeys(os.path.realpath(folder) for folder in folders))


class Watch:
    """Notes what this process reaches for between `begin` and the end of the process; hooks cannot be taken back.

    `bars` is the bar file, or the folder of bar files. `copy`, where given, writes an altered bar file once and returns
    its path; `is_altered` says that this run's bars are others than the file's. `ignored` are files and folders that
    the program itself reads.
    """

    def __init__(
        self, bars: Path | None, copy: Callable[[], Path] | None, *, is_altered: bool, ignored: tuple[Path, ...] = ()
    ) -> None:
        self._bars = None if bars is None else os.path.realpath(bars)
        self._copy = copy
        self._is_altered = is_altered
        self._copied: Path | None = None
        own = (*program_folders(), *(os.path.realpath(path) for path in ignored), *_SYSTEM)
        self._ignored = tuple(f"{folder}{os.sep}" for folder in own)
        self._is_on = False
        self._seen: dict[Touch, None] = {}

    def begin(self) -> None:
        """Watch from now on."""
        sys.addaudithook(self._audit)
        if self._copy is not None and self._bars is not None and Path(self._bars).is_file():
            builtins.open = self._exchanging(builtins.open)
            io.open = self._exchanging(io.open)
            os.open = self._exchanging(os.open)
            _exchange_numpys(self._exchanging)
        self._is_on = True

    def touches(self) -> tuple[Touch, ...]:
        """What was reached for so far, in that order."""
        return tuple(self._seen)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_on:
            return
        reach = _EVENTS.get(event)
        if reach is not None:
            self._seen[Touch(reach, str(arguments[1] if reach is Reach.NETWORK else arguments[0]))] = None
        elif event == "open" and isinstance(arguments[0], (str, bytes)) and _reads(arguments[1], arguments[2]):
            self._note_file(os.path.realpath(os.fsdecode(arguments[0])))

    def _note_file(self, path: str) -> None:
        if self._copied is not None and path == os.path.realpath(self._copied):
            self._seen[Touch(Reach.BARS, str(self._bars))] = None
        elif self._bars is not None and (path == self._bars or path.startswith(self._bars + os.sep)):
            reach = Reach.BARS_UNALTERED if self._is_altered else Reach.BARS
            self._seen[Touch(reach, path)] = None
        elif not path.endswith(_CODE) and not path.startswith(self._ignored) and _is_data(Path(path)):
            self._seen[Touch(Reach.FILE, path)] = None

    def _exchanging(self, opens: Callable[..., Any]) -> Callable[..., Any]:
        def opening(file: Any, *arguments: Any, **options: Any) -> Any:  # what is passed on is anybody's
            return opens(self._instead(file), *arguments, **options)

        return opening

    def _instead(self, file: object) -> object:
        """The altered copy in place of the bar file, anything else as it is."""
        if not self._is_on or not isinstance(file, (str, bytes, os.PathLike)):
            return file
        if os.path.realpath(os.fsdecode(file)) != self._bars or self._copy is None:
            return file
        if self._copied is None:
            self._is_on = False  # the copy is ours to make
            self._copied = self._copy()
            self._is_on = True
        return self._copied


def _is_data(path: Path) -> bool:
    """A file that is there, and not what an installer keeps of a package."""
    return path.is_file() and not path.parent.name.endswith((".egg-info", ".dist-info"))


def _exchange_numpys(exchanging: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """`loadtxt` and `genfromtxt` keep an `open` of their own; where a version of NumPy hides it, the hook tells."""
    module = importlib.import_module("numpy.lib._datasource")
    openers = getattr(getattr(module, "_file_openers", None), "_file_openers", None)
    if isinstance(openers, dict) and None in openers:
        openers[None] = exchanging(openers[None])


def _reads(mode: object, flags: object) -> bool:
    """Whether a file is opened for reading, by the mode of `open` or the flags of `os.open`."""
    if isinstance(mode, str):
        return "r" in mode or "+" in mode
    return not isinstance(flags, int) or flags & os.O_ACCMODE != os.O_WRONLY
