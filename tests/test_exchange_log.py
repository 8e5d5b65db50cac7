"""The advisor log's lines: everything of an exchange, and reasons that come from another thread."""

import math
import threading
from pathlib import Path

import msgspec
import pytest
from builders import a_question
from line_builders import FACTS, settings_with
from line_fakes import MemoryJournal

from trader.adapters.journal import ReplayJournal
from trader.advisor.question import Answer, Scores, Trace
from trader.app import assemble
from trader.asides import AsideLine, ExchangeRecord, ReasonRecord
from trader.chain import extra
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.domain.instruments import instrument
from trader.exchange_log import ExchangeLog
from trader.logbook import Logbook
from trader.recorder import Recorder
from trader.records import IdsRecord

TRACE = Trace(
    backend="phi3", messages=(("system", "Be brief."), ("user", "RSI 50")), reply="BUY | 0.80 | up", latency_ms=7.5
)
FULL = Answer(
    status=AdviceStatus.USED,
    advice=Advice(
        action=Action.BUY,
        confidence=0.625,
        reason="up",
        raw=0.5,
        calibrated=0.375,
        base_rate=0.25,
        verbal=0.8,
        legal_mass=0.9,
    ),
    visible_from_bar=100,
    prompt_sha256="ab" * 32,
    scores=Scores((math.log(0.25), math.log(0.5), math.log(0.25), None, None, None), 0.9),
    is_batched=True,
    trace=TRACE,
)
ERROR = Answer(status=AdviceStatus.ERROR, error="no memory", trace=Trace(backend="phi3", messages=()))


@pytest.fixture
def journal() -> MemoryJournal:
    """Where the lines go."""
    return MemoryJournal()


@pytest.fixture
def log(journal: MemoryJournal) -> ExchangeLog:
    """A log that writes there."""
    log = ExchangeLog()
    log.connect(journal)
    return log


def written(journal: MemoryJournal) -> list[ExchangeRecord | ReasonRecord | None]:
    """What each line holds."""
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in journal.asides)
    lines = [msgspec.json.decode(line, type=AsideLine) for line in journal.asides]
    return [line.reason if line.exchange is None else line.exchange for line in lines]


def test_exchange_is_written_whole(log: ExchangeLog, journal: MemoryJournal) -> None:
    """Prompt, reply, probabilities, what was made of them, latency."""
    log.exchange(a_question(), FULL)
    (record,) = written(journal)
    assert isinstance(record, ExchangeRecord)
    assert record.probabilities == pytest.approx({"HOLD": 0.25, "BUY": 0.5, "SELL": 0.25})
    assert msgspec.structs.replace(record, probabilities=None) == ExchangeRecord(
        seq=100,
        close_utc="2023-03-15T14:00:00Z",
        backend="phi3",
        prompt_sha256="ab" * 32,
        valid=("HOLD", "BUY", "SELL"),
        messages=(("system", "Be brief."), ("user", "RSI 50")),
        reply="BUY | 0.80 | up",
        probabilities=None,
        legal_mass=0.9,
        is_batched=True,
        status="used",
        action="BUY",
        confidence=0.625,
        raw=0.5,
        calibrated=0.375,
        base_rate=0.25,
        verbal=0.8,
        reason="up",
        latency_ms=7.5,
        error=None,
    )


def test_exchange_that_failed_says_why(log: ExchangeLog, journal: MemoryJournal) -> None:
    """No advice, no figure, and the error."""
    log.exchange(a_question(mask=0b001001), ERROR)
    (record,) = written(journal)
    assert isinstance(record, ExchangeRecord)
    assert (record.status, record.error, record.valid) == ("error", "no memory", ("HOLD", "MOVE_TO_BE"))
    assert (record.action, record.confidence, record.probabilities, record.latency_ms) == (None,) * 4


def test_reasons_of_another_thread_are_written_before_the_next_exchange(
    log: ExchangeLog, journal: MemoryJournal
) -> None:
    """Only the loop writes."""
    thread = threading.Thread(target=log.reason, args=("ab" * 32, "momentum is up"))
    thread.start()
    thread.join()
    assert journal.asides == []
    log.exchange(a_question(), ERROR)
    assert written(journal)[0] == ReasonRecord(prompt_sha256="ab" * 32, text="momentum is up")
    assert len(journal.asides) == 2


def test_reasons_are_written_once_in_their_order(log: ExchangeLog, journal: MemoryJournal) -> None:
    """By whoever ends the run."""
    log.reason("a", "one")
    log.reason("b", "two")
    log.flush()
    log.flush()
    assert written(journal) == [
        ReasonRecord(prompt_sha256="a", text="one"),
        ReasonRecord(prompt_sha256="b", text="two"),
    ]


def test_text_that_is_no_unicode_is_written_all_the_same(log: ExchangeLog, journal: MemoryJournal) -> None:
    """Half a surrogate pair of a model's, or of an error that quotes it, stops nothing."""
    log.reason("a", "up \ud83d")
    log.exchange(a_question(), msgspec.structs.replace(ERROR, error="bad: \ud83d"))
    reason, exchange = written(journal)
    assert reason == ReasonRecord(prompt_sha256="a", text="up ?")
    assert isinstance(exchange, ExchangeRecord)
    assert exchange.error == "bad: ?"


def test_log_without_a_journal_keeps_nothing() -> None:
    """A run that writes no log pays for none, and a journal that comes later starts empty."""
    log = ExchangeLog()
    log.exchange(a_question(), FULL)
    log.reason("a", "one")
    log.flush()
    journal = MemoryJournal()
    log.connect(journal)
    log.flush()
    assert journal.asides == []


def test_reasons_that_nobody_fetches_are_bounded(log: ExchangeLog, journal: MemoryJournal) -> None:
    """The newest thousand."""
    for number in range(1_005):
        log.reason(str(number), "because")
    log.flush()
    records = written(journal)
    assert len(records) == 1_000
    assert records[0] == ReasonRecord(prompt_sha256="5", text="because")


def test_reasons_of_a_session_stand_in_its_file(tmp_path: Path) -> None:
    """Those for its last answer too, which come after it; and those of the last session when the run is closed."""
    log = ExchangeLog()
    run = assemble(settings_with("advisor.backend=rules"), FACTS, log=None)
    journal = ReplayJournal(tmp_path, "run")
    log.connect(journal)
    logbook = Logbook(a_recorder(), journal, run.start, log)
    logbook.begin_session("2023-03-15")
    log.exchange(a_question(), FULL)
    log.reason("ab" * 32, "momentum is up")
    logbook.begin_session("2023-03-16")
    log.reason("cd" * 32, "momentum is down")
    logbook.close(0, run.engine._parts.router, run.engine._parts.book)

    first, second = (
        [msgspec.json.decode(line, type=AsideLine) for line in path.read_bytes().splitlines()]
        for path in sorted((tmp_path / "run").glob("advisor-*.jsonl"))
    )
    assert [line.reason for line in first] == [None, ReasonRecord(prompt_sha256="ab" * 32, text="momentum is up")]
    assert [line.reason for line in second] == [ReasonRecord(prompt_sha256="cd" * 32, text="momentum is down")]


def a_recorder() -> Recorder:
    """Whatever writes the decisions."""
    stamp = extra({"mode": "replay", "run_id": "by-hand"})
    ids = IdsRecord(config="c", bundle="b", advisor="a", schema="s")
    return Recorder(
        stamp=lambda: stamp, ids=ids, instrument=instrument("NQ"), daily_limit_cents=100_000, is_veto_enabled=True
    )
