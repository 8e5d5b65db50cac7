"""Why the advisor said what it said: out of the decision log, or out of the advisor log beside it."""

import io
from pathlib import Path

import msgspec
import pytest
from log_builders import NO_ADVICE, a_record, log_files, write_files
from msgspec.structs import replace
from typer.testing import CliRunner

from trader.analysis.logs import View, run_logs
from trader.analysis.selection import Selection
from trader.analysis.verify import Status, verify
from trader.asides import AsideLine, ExchangeRecord, ReasonRecord, aside_name
from trader.cli import app

FIRST, SECOND = "2023-01-10", "2023-01-11"
SCORED = replace(NO_ADVICE, action="BUY", confidence=0.55, status="used", prompt_sha256="aa", reason="")
EXCHANGE = ExchangeRecord(
    seq=0,
    close_utc="2023-01-10T14:31:00Z",
    backend="phi3",
    prompt_sha256="aa",
    valid=("HOLD", "BUY"),
    messages=(("user", "RSI"),),
    reply=None,
    probabilities={"HOLD": 0.25, "BUY": 0.75},
    legal_mass=0.9,
    is_batched=False,
    status="used",
    action="BUY",
    confidence=0.55,
    raw=0.75,
    calibrated=0.3,
    base_rate=0.25,
    verbal=None,
    reason="",
    latency_ms=7.5,
    error=None,
)


def a_reason(prompt_sha256: str, text: str) -> bytes:
    """A line of the advisor log."""
    return msgspec.json.encode(AsideLine(reason=ReasonRecord(prompt_sha256=prompt_sha256, text=text))) + b"\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two sessions: a scored answer, one with a reason of its own, one late; the scored one again the next day."""
    days = [
        (
            FIRST,
            [
                replace(a_record(0), llm=SCORED),
                replace(a_record(1, minute=1), llm=replace(SCORED, reason="written at once")),
                replace(a_record(2, minute=2), llm=NO_ADVICE),
                a_record(3, minute=3),
            ],
        ),
        (SECOND, [replace(a_record(4, session=SECOND), llm=SCORED)]),
    ]
    return write_files(tmp_path / "run", *log_files(days))


def write_asides(run: Path, session: str, *lines: bytes) -> None:
    """The advisor log of a session."""
    (run / aside_name(session)).write_bytes(b"".join(lines))


def reasons_in(run: Path) -> list[str]:
    """The lines of `trader logs --reasons` that give one, each with the time of the bar above it."""
    out = io.StringIO()
    assert run_logs(run, Selection(), View(with_reasons=True), out) == 0
    at, reasons = "", []
    for line in out.getvalue().splitlines():
        if line.startswith("        advice: "):
            reasons.append(f"{at} {line.removeprefix('        advice: ')}")
        elif line.startswith("20"):
            at = line[8:16]
    return reasons


def test_reasons_come_from_the_log_and_from_the_log_beside_it(run: Path) -> None:
    """By the hash of the prompt, each session by its own file; what has none has none."""
    exchange = msgspec.json.encode(AsideLine(exchange=EXCHANGE)) + b"\n"
    write_asides(run, FIRST, a_reason("bb", "of another"), exchange, a_reason("aa", "momentum is up"))
    write_asides(run, SECOND, a_reason("aa", "still up"))

    assert reasons_in(run) == ["10 09:31 momentum is up", "10 09:32 written at once", "11 09:31 still up"]


def test_reasons_without_an_advisor_log_are_those_of_the_log(run: Path) -> None:
    """Somebody has deleted it: nothing is wrong with the rest."""
    assert reasons_in(run) == ["10 09:32 written at once"]


def test_reasons_are_shown_when_asked_for_only(run: Path) -> None:
    """The table stays what it is."""
    out = io.StringIO()
    run_logs(run, Selection(), View(), out)
    assert "advice: " not in out.getvalue()


def test_reasons_beside_json_lines_leave_them_as_they_are(run: Path) -> None:
    """What `jq` reads is the file."""
    out = io.StringIO()
    run_logs(run / f"decisions-{FIRST}.jsonl", Selection(), View(as_json=True, with_reasons=True), out)
    assert out.getvalue().encode() == (run / f"decisions-{FIRST}.jsonl").read_bytes()


def test_reason_cannot_steer_a_terminal(run: Path) -> None:
    """Escape codes, newlines, bells and direction marks are blanks."""
    write_asides(run, FIRST, a_reason("aa", "up\x1b[31m\r\nfill BUY 9\x07\u202eend\x9b2J"))
    assert reasons_in(run)[0] == "10 09:31 up [31m  fill BUY 9  end 2J"


def test_lines_of_the_advisor_log_that_cannot_be_read_explain_nothing(run: Path) -> None:
    """A last line that a crash has cut, one that is no UTF-8, one of another shape, one nested without end."""
    broken = [b'{"reason":7}\n', b"\xff\xfe\n", b'{"more":' + b"[" * 100_000 + b"\n", b"\n"]
    write_asides(run, FIRST, *broken, a_reason("aa", "momentum is up"), a_reason("aa", "cut short")[:30])
    assert reasons_in(run)[0] == "10 09:31 momentum is up"


def test_reasons_that_come_while_the_log_is_followed_are_seen(run: Path) -> None:
    """The advisor log had been read before the reason was written: it is read on."""
    name = f"decisions-{FIRST}.jsonl"
    lines = (run / name).read_bytes().splitlines(keepends=True)
    (run / name).write_bytes(b"".join(lines[:2]))
    (run / f"decisions-{SECOND}.jsonl").unlink()
    write_asides(run, FIRST, a_reason("bb", "of another"))

    steps = iter([True, False])

    def grow() -> bool:
        if next(steps):
            with (run / aside_name(FIRST)).open("ab") as file:
                file.write(a_reason("dd", "it came later"))
            files, _ = log_files([(FIRST, [replace(a_record(0), llm=replace(SCORED, prompt_sha256="dd"))])])
            with (run / name).open("ab") as file:
                file.write(files[name][1])
            return True
        return False

    out = io.StringIO()
    run_logs(run, Selection(), View(with_reasons=True), out, wait=grow)
    assert "        advice: it came later\n" in out.getvalue()


def test_folder_with_asides_verifies_and_is_read_as_before(run: Path) -> None:
    """They are no part of the chain, whatever they hold."""
    before = io.StringIO()
    run_logs(run, Selection(), View(), before)
    write_asides(run, FIRST, a_reason("aa", "up"), b"garbage")
    after = io.StringIO()
    run_logs(run.parent, Selection(), View(), after)
    report = verify(run)

    assert (report.status, report.files, report.bars) == (Status.INTACT, 2, 5)
    assert after.getvalue() == before.getvalue()


def test_command_line_shows_reasons(run: Path) -> None:
    """`trader logs --reasons`."""
    shown = CliRunner().invoke(app, ["logs", str(run), "--reasons"])
    assert shown.exit_code == 0
    assert "        advice: written at once\n" in shown.output
