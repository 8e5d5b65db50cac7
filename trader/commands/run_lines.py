"""The daemon's own lines: JSON where a program reads them, text at a terminal, and one for each change of position."""

import sys
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
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%SZ" if is_seen else "iso", utc=True),
            last,
        ],
        logger_factory=structlog.PrintLoggerFactory(out),
    )


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
