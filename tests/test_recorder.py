"""What a run leaves behind: whole records, numbers as promised, and no memory that shows."""

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_builders import UNEXPLAINED, Drive, record_of
from line_fakes import FakeAdvisor
from msgspec.structs import asdict, replace
from replays import synthetic_bars, two_weeks, write_log

from trader.adapters.paper_broker import Faults
from trader.advisor.question import Answer
from trader.domain.actions import Action
from trader.domain.decisions import Decision
from trader.domain.orders import Order
from trader.logbook import Logbook
from trader.news import BookedFill
from trader.pipeline import Look
from trader.recorder import Outcome, Recorder
from trader.records import (
    AccountRecord,
    BarRecord,
    EndRecord,
    FillRecord,
    FusionRecord,
    LimitsRecord,
    Line,
    OrderRecord,
    QueryRecord,
    RiskRecord,
    RlRecord,
    StartRecord,
)

NEW_YORK = ZoneInfo("America/New_York")
NUMBER = re.compile(rb"(?<![\w\"])-?\d+\.(\d+)(e-?\d+)?")


def test_record_of_an_entry_is_whole() -> None:
    """Every part of the line of a bar at which an entry was decided, but for the readings."""
    drive = Drive().warm()
    record = drive.bar(Action.BUY, confidence=0.8123456789, high=12, low=-9, close=3)

    assert (record.v, record.seq) == (2, 425)
    assert record.bar == BarRecord(
        open_utc="2023-03-15T13:35:00Z",
        close_utc="2023-03-15T13:36:00Z",
        open_et="2023-03-15T09:35:00-04:00",
        close_et="2023-03-15T09:36:00-04:00",
        session="2023-03-15",
        symbol="NQH23",
        o=12_000.0,
        h=12_003.0,
        l=11_997.75,
        c=12_000.75,
        v=100,
        roll_offset=0.0,
    )
    assert record.rl == RlRecord(action="BUY", confidence=0.812346, probs=None, mask=(1, 1, 1, 0, 0, 0), forced=False)
    assert record.query == QueryRecord(asked=False, triggers=(), skipped_because="off")
    assert record.llm is None
    assert record.fusion == FusionRecord(method="rl_only", action="BUY", confidence=0.812346, weight=0.3)
    assert record.risk == RiskRecord(
        verdict="approved",
        vetoes=(),
        active=(),
        veto_enabled=True,
        limits=LimitsRecord(to_threshold=2_500.0, to_daily_limit=1_000.0, trades_in_session=0),
    )
    assert record.orders == (
        OrderRecord(
            kind="bracket",
            ref="NQH23-27981456",
            side="BUY",
            qty=1,
            stop=11_993.0,
            target=12_024.0,
            reason=None,
        ),
    )
    assert record.fills == ()
    assert record.account == AccountRecord(
        position=0,
        entry=None,
        stop=None,
        target=None,
        trailing=False,
        balance=50_000.0,
        equity=50_000.0,
        drawdown=0.0,
        streak=0,
        win_rate=0.5,
        trades=0,
        account=1,
    )
    assert record.ids == drive.start.ids


def test_record_of_an_exit_is_whole() -> None:
    """Fill, account after it, and what is left of the limits."""
    drive = Drive().warm()
    drive.enter()
    record = drive.bar(high=92, low=-29)

    assert record.fills == (
        FillRecord(
            ref="NQH23-27981456",
            nth=2,
            side="SELL",
            qty=1,
            price=11_992.5,
            commission=2.25,
            ts_utc="2023-03-15T13:38:00Z",
            reason="stop",
            optimistic=12_022.75,
            pnl=-159.5,
            risk=150.0,
        ),
    )
    assert (record.account.balance, record.account.equity, record.account.streak) == (49_840.5, 49_840.5, 1)
    # The entry bar reached nine ticks above the fill: 42.75 $ of open profit have raised peak and threshold.
    assert (record.account.drawdown, record.risk.limits.to_threshold) == (202.25, 2_297.75)
    assert (record.risk.limits.to_daily_limit, record.risk.limits.trades_in_session) == (840.5, 1)


def test_record_of_each_kind_of_order_is_whole() -> None:
    """Bracket above; an amended stop, a cancelled rest, a close."""
    late = ('execution.windows.rth.end="15:55"', "execution.entry_end_before_flat_minutes=0")
    sizes = ("execution.qty=2", "execution.max_position_qty=2")
    drive = Drive(*late, *sizes, faults=Faults(entry_portions={2: (1, 1)})).warm("15:40")
    drive.enter()
    ref = drive.records()[-2].orders[0].ref
    moved = drive.bar(Action.MOVE_TO_BE, close=20)
    drive.stop_out()
    drive.until("15:53")
    drive.bar(Action.SELL)
    closing = drive.bar()
    second_ref = drive.records()[-2].orders[0].ref

    assert moved.orders == (
        OrderRecord(kind="amend", ref=ref, side=None, qty=None, stop=12_000.75, target=12_022.75, reason="break_even"),
    )
    assert closing.orders == (
        OrderRecord(kind="cancel", ref=second_ref, side=None, qty=None, stop=None, target=None, reason=None),
        OrderRecord(kind="flatten", ref=second_ref, side="BUY", qty=1, stop=None, target=None, reason="flat_at"),
    )


def test_record_of_advice_says_what_was_answered() -> None:
    """The advisor's answer as it was used, beside the fusion that it led to."""
    advisor = FakeAdvisor()
    advisor.action = Action.SELL
    drive = Drive("advisor.backend=rules", "fusion.use_selective_querying=false", advisor=advisor).warm()
    record = drive.bar(Action.BUY, confidence=0.3)

    assert record.llm is not None
    assert {key: value for key, value in asdict(record.llm).items() if value is not None} == {
        "action": "SELL",
        "confidence": 1.0,
        "reason": "told to",
        "status": "used",
        "from_cache": False,
        "age_s": 0,
        "reuse": 0,
        "visible_from_bar": record.seq,
    }
    assert (record.fusion.method, record.fusion.action) == ("llm_override", "SELL")


def test_record_in_winter_has_new_yorks_winter_offset() -> None:
    """Both clocks, on both sides of the change."""
    bar = Drive(day="2023-01-18").skip_to("09:35").bar().bar

    assert (bar.open_utc, bar.open_et) == ("2023-01-18T14:35:00Z", "2023-01-18T09:35:00-05:00")


@pytest.mark.parametrize("start", ["2019-03-07", "2019-10-31"])
def test_record_times_are_those_of_the_zone_database(tmp_path: Path, start: str) -> None:
    """Every bar of a week with a change of clocks: one moment on both clocks, New York's by the zone database."""
    folder = write_log(tmp_path, synthetic_bars(start, 5))
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    bars = [record_of(line).bar for line in lines if line.startswith(b'{"c":')]

    assert len({bar.open_et[-6:] for bar in bars}) == 2
    for bar in bars:
        for utc, local in ((bar.open_utc, bar.open_et), (bar.close_utc, bar.close_et)):
            moment = datetime.fromisoformat(utc)
            assert local == moment.astimezone(NEW_YORK).isoformat()
            assert utc == f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_record_of_the_evening_belongs_to_the_next_day() -> None:
    """18:00 on Tuesday in New York opens Wednesday's session."""
    drive = Drive()
    bar = drive.bar().bar

    assert (bar.session, bar.open_et) == ("2023-03-15", "2023-03-14T18:00:00-04:00")
    assert list(drive.journal.files) == ["2023-03-15"]


def test_first_and_later_files_begin_as_they_should() -> None:
    """`start` once; `continue` with the file and the head before; `end` counts bars and lines."""
    drive = Drive().skip_to("09:35")
    drive.bar()
    head = msgspec.json.decode(drive.journal.lines[-1], type=Line).hash
    drive.next_session()
    drive.bar()
    end = drive.finish()

    first, later = (lines[0] for lines in drive.journal.files.values())
    assert msgspec.json.decode(bytes(msgspec.json.decode(first, type=Line).start), type=StartRecord) == drive.start
    assert msgspec.json.decode(bytes(msgspec.json.decode(later, type=Line).continue_)) == {
        "previous_file": "decisions-2023-03-15.jsonl",
        "head": head,
    }
    assert (end.bars, end.lines, len(drive.journal.lines)) == (2, 6, 6)
    assert end == EndRecord(bars=2, lines=6, fills=(), account=drive.records()[-1].account)


def test_run_without_a_bar_leaves_no_log() -> None:
    """There is nothing to tell."""
    drive = Drive()
    drive.engine.finish(at_end_of_feed=True)

    assert (drive.journal.files, drive.journal.is_discarded) == ({}, True)


def test_every_number_keeps_what_the_log_promises(tmp_path: Path) -> None:
    """Prices on the tick, money in cents, everything else to 1e-6; no exponent, no NaN."""
    folder = write_log(tmp_path, two_weeks())
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    assert len(lines) > 600
    for line in lines:
        payload = line[: line.index(b',"x":')]
        assert b"NaN" not in payload
        for decimals, exponent in NUMBER.findall(payload):
            assert len(decimals) <= 6, line
            assert not exponent or payload.startswith(b'{"start"'), line


class DoubtingRecorder(Recorder):
    """Writes each line twice: from what it remembers, and from nothing."""

    fresh_settings: dict[str, object]
    doubts = False

    def line(
        self,
        look: Look,
        answer: Answer | None,
        decision: Decision,
        outcome: Outcome,
        orders: list[Order],
        fills: list[BookedFill],
    ) -> bytes:
        head = self.chain.head
        told = super().line(look, answer, decision, outcome, orders, fills)
        if self.doubts:
            fresh = Recorder(**self.fresh_settings)  # type: ignore[arg-type] # the same arguments again
            fresh.chain.head = head
            assert told == fresh.line(look, answer, decision, outcome, orders, fills)
        return told


@UNEXPLAINED
@given(st.lists(st.tuples(st.integers(-25, 25), st.integers(0, 5), st.sampled_from([0.3, 0.55, 0.95])), max_size=40))
def test_line_shows_nothing_of_the_lines_before(steps: list[tuple[int, int, float]]) -> None:
    """What is encoded once and kept is what would be encoded now."""
    advisor = FakeAdvisor()
    drive = Drive("advisor.backend=rules", "fusion.query_interval=1", advisor=advisor)
    settings: dict[str, object] = {
        "stamp": lambda: b"{}",
        "ids": drive.start.ids,
        "instrument": drive.parts.instrument,
        "daily_limit_cents": 100_000,
        "is_veto_enabled": True,
    }
    recorder = DoubtingRecorder(**settings)  # type: ignore[arg-type] # as its line gives them
    recorder.fresh_settings = settings
    drive.engine._parts = replace(drive.parts, logbook=Logbook(recorder, drive.journal, drive.start))
    drive.warm()
    recorder.doubts = True
    for move, pick, confidence in steps:
        advisor.action = list(Action)[pick]
        drive.bar(list(Action)[pick], confidence=confidence, close=drive.level + move, if_valid=True)


@pytest.mark.parametrize("kind", ["account_renewed", "order_refused"])
def test_event_stands_before_the_line_of_its_bar(kind: str) -> None:
    """An event counts from the bar whose line follows."""
    drive = Drive(
        "account.trailing_limit_usd=100",
        "fusion.use_selective_querying=false",
        "advisor.backend=rules",
        advisor=(advisor := FakeAdvisor()),
    ).warm()
    if kind == "order_refused":
        advisor.meddle = lambda: drive.parts.router.pass_time(drive.now_ns + 600_000_000_000)
        advisor.action = Action.BUY
        drive.bar(Action.BUY)
    else:
        drive.enter()
        drive.bar(low=-25)
        drive.bar()
        drive.next_session().skip_to("09:35")
        drive.bar()

    event = next(event for event in drive.event_records() if event.kind == kind)
    lines = drive.journal.lines
    place = next(i for i, line in enumerate(lines) if f'"kind":"{kind}"'.encode() in line)
    following = next(line for line in lines[place:] if line.startswith(b'{"c":'))
    assert f'"seq":{event.from_bar},'.encode() in following
