"""How the daemon speaks: JSON to programs, text to a person."""

import io
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path

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


def test_a_full_disk_behind_the_lines_ends_nothing() -> None:
    """They are lost; and nothing of them is left that would fail when the process ends."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        configure_lines(full)
        for _ in range(1_000):
            structlog.get_logger("trader.run").error("link_down", why="x" * 100)


def test_a_reader_that_has_gone_ends_nothing() -> None:
    """The other end of the pipe is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        configure_lines(pipe)
        structlog.get_logger("trader.run").error("link_down")


def test_a_line_that_was_cut_is_ended_before_the_next(tmp_path: Path) -> None:
    """The disk took its first bytes: what comes when there is room again stands on a line of its own."""
    path = tmp_path / "lines"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("w") as file:
        configure_lines(file)
        log = structlog.get_logger("trader.run")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        try:
            log.error("first")
            log.error("lost")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        log.error("second")
        log.error("third")
    lines = path.read_text().splitlines()
    assert len(lines[0]) == 20
    assert [json.loads(line)["event"] for line in lines[1:]] == ["second", "third"]
