"""The daemon's own lines: JSON where a program reads them, text at a terminal, and one for each change of position."""

import os
import sys
import threading
from contextlib import suppress
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from trader.engine import Engine
from trader.status import position_of

log = structlog.get_logger("trader.run")
_LEVEL_WIDTH = 8


def configure_lines(out: TextIO = sys.stdout) -> None:
    """One line an event on `out`, from now on, for the whole process."""
    is_seen = out.isatty()
    last: Processor = as_text if is_seen else structlog.processors.JSONRenderer()
    lines = Lines(out)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%SZ" if is_seen else "iso", utc=True),
            last,
        ],
        logger_factory=lambda *_: lines,
    )


class Lines:
    """Writes lines as long as somebody takes them: what guards a position does not end because nobody can read of it.

    For any thread. Where `out` is a file it is written to past its buffer, so that nothing is left to fail at the end.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._is_cut = False
        try:
            self._descriptor: int | None = out.fileno()
        except (OSError, ValueError):  # in memory
            self._descriptor = None

    def msg(self, line: str) -> None:
        """Write the line, or lose it: on a full disk, after the reader has gone."""
        with self._lock, suppress(OSError):
            if self._descriptor is None:
                self._out.write(f"{line}\n")
            else:
                self._write(self._descriptor, ("\n" * self._is_cut + line + "\n").encode(errors="replace"))

    debug = info = warning = error = critical = exception = msg

    def _write(self, descriptor: int, line: bytes) -> None:
        """A line of which only the beginning was taken is ended before the next."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            self._is_cut = 0 < len(rest) < len(line) or (self._is_cut and len(rest) == len(line))


def as_text(logger: WrappedLogger, method: str, line: EventDict) -> str:
    """The time, the level, the event, and what belongs to it."""
    del logger, method
    stamp, level, event = (line.pop(key, "") for key in ("timestamp", "level", "event"))
    rest = "; ".join(f"{key} {value}" for key, value in line.items())
    return f"{stamp} {level:<{_LEVEL_WIDTH}}{event}{': ' if rest else ''}{rest}"


class PositionLines:
    """Says what is held whenever that has changed; `look` is to be called about once a second."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._was: tuple[object, ...] = (0,)

    def look(self) -> None:
        """Log a line if something is different."""
        view = self._engine.parts.book.view()
        held = position_of(self._engine, view)
        now = (0,) if held is None else (held.qty, held.entry, held.stop, held.target)
        if now == self._was:
            return
        self._was = now
        if held is None:
            log.info("position", qty=0, balance_usd=view.balance_cents / 100)
        else:
            log.info("position", qty=held.qty, entry=held.entry, stop=held.stop, target=held.target)
