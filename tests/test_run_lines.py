"""How the daemon speaks: JSON to programs, text to a person."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from trader.commands.run_lines import configure_lines


class Terminal(io.StringIO):
    """Somebody looks on."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_lines_at_a_terminal_are_text() -> None:
    """Time, level, event and what belongs to it."""
    out = Terminal()
    configure_lines(out)
    structlog.get_logger("trader.run").error("link_down", why="nothing listens there", tries=3)
    stamp, said = out.getvalue()[:20], out.getvalue()[20:]
    assert (stamp[4], stamp[-1]) == ("-", "Z")
    assert said == " error   link_down: why nothing listens there; tries 3\n"


def test_lines_in_a_pipe_are_json() -> None:
    """One object a line, with the same fields."""
    out = io.StringIO()
    configure_lines(out)
    structlog.get_logger("trader.run").info("started", run_id="7")
    line = json.loads(out.getvalue())
    assert {**line, "timestamp": ""} == {"event": "started", "run_id": "7", "level": "info", "timestamp": ""}
