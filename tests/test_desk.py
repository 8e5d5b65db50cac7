"""Commands at a run: what each does, from which bar, and what is refused."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from desk_builders import Deaf, Seat
from line_builders import Drive, kinds
from line_fakes import FakeAdvisor, MemoryJournal

from trader.adapters.control.messages import CommandName, Reply, Request, Status
from trader.adapters.memory_feed import MemoryFeed
from trader.advisor.question import Answer, Question
from trader.desk import Desk
from trader.domain.actions import Action
from trader.domain.alerts import AlertKind
from trader.domain.orders import Unfilled


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    """At a run whose features are ready, inside the entry window."""
    return Seat(Drive().warm(), tmp_path)


def test_pause_blocks_entries_from_the_next_bar_until_resume(seat: Seat) -> None:
    """The mask says so, and the log names the bar from which it counts."""
    assert seat.say("pause").ok
    paused = seat.drive.bar()
    assert seat.say("resume").ok
    resumed = seat.drive.bar(Action.BUY)

    assert (paused.rl.mask[1:3], resumed.rl.mask[1:3]) == ((0, 0), (1, 1))
    assert seat.commands() == [(paused.seq, {"command": "pause"}), (resumed.seq, {"command": "resume"})]
    assert resumed.risk.verdict == "approved"


def test_pause_leaves_a_position_its_stop(seat: Seat) -> None:
    """No entries is all that it means."""
    seat.drive.enter()
    stop = seat.drive.book.stop_ticks
    seat.say("pause")
    seat.drive.bar()

    assert (seat.drive.book.position_qty, seat.drive.book.stop_ticks) == (1, stop)


def test_flatten_closes_at_the_next_open_and_pauses(seat: Seat) -> None:
    """One close, filled at the open of the bar after the command, then no entries until resume."""
    seat.drive.enter()
    reply = seat.say("flatten")
    status = seat.status()
    closed = seat.drive.bar(open=5)
    after = seat.drive.bar()

    assert reply.message.startswith("closing +1 at the market")
    assert status.position is not None
    assert status.position.is_closing
    assert kinds(closed.orders) == [("flatten", "operator")]
    assert [(fill.reason, fill.price, fill.ts_utc) for fill in closed.fills] == [
        ("operator", 12_001.0, closed.bar.open_utc)
    ]
    assert (after.rl.mask, after.orders) == ((1, 0, 0, 0, 0, 0), ())
    assert seat.commands() == [(closed.seq, {"command": "flatten", "position": 1})]
    assert seat.drive.switched()[-1] == (closed.seq, "paused")


def test_flatten_twice_sends_one_close(seat: Seat) -> None:
    """A nervous operator does not turn the position around."""
    seat.drive.enter()
    seat.say("flatten")
    seat.say("flatten")
    closed = seat.drive.bar()
    seat.drive.bar()

    assert kinds(closed.orders) == [("flatten", "operator")]
    assert seat.drive.book.position_qty == 0


def test_flatten_takes_back_an_entry_that_waits(seat: Seat) -> None:
    """Decided at the close, taken back before the next open: nothing is filled."""
    seat.drive.bar(Action.BUY)
    reply = seat.say("flatten")
    record = seat.drive.bar()

    assert "taken back" in reply.message
    assert (kinds(record.orders), record.fills) == ([("cancel", None)], ())
    assert seat.drive.unfilled() == [(record.seq, "cancelled")]


def test_flatten_is_sent_again_where_the_close_was_lost(seat: Seat) -> None:
    """A close that ends unfilled leaves a position that the operator wanted closed."""
    seat.drive.enter()
    broker = seat.drive.parts.broker
    seat.drive.parts.router.connect(Deaf())
    seat.say("flatten")
    seat.drive.parts.router.connect(broker)
    seat.drive.bar()
    seat.drive.parts.router.on_unfilled(seat.drive.parts.router.state().holding.order_ref, Unfilled.REJECTED)
    seat.drive.bar()
    closed = seat.drive.bar()

    assert [fill.reason for fill in closed.fills] == ["operator"]
    assert not seat.drive.engine.controls.is_flattening


def test_flatten_ends_once_nothing_is_open(seat: Seat) -> None:
    """After a resume the run enters again, and its new position is left alone."""
    seat.drive.enter()
    seat.say("flatten")
    seat.drive.bar()
    seat.say("resume")
    seat.drive.enter()
    seat.drive.bar()

    assert seat.drive.book.position_qty == 1


def test_kill_stays_over_a_restart_until_it_is_lifted(seat: Seat, tmp_path: Path) -> None:
    """Another run with the same folder begins killed, and says so in its log and aloud."""
    assert seat.say("kill").ok
    again = Seat(Drive(), tmp_path)
    again.desk.begin()
    again.drive.warm()
    first = again.status()
    plain = again.say("resume")
    still = again.status()
    lifted = again.say("resume", clear_kill=True)
    third = Seat(Drive(), tmp_path)
    third.desk.begin()

    assert (seat.told.kinds, again.told.kinds, third.told.kinds) == (
        [AlertKind.KILL_SWITCH],
        [AlertKind.KILL_SWITCH],
        [],
    )
    assert again.commands()[0] == (0, {"command": "kill", "kept": 1})
    assert again.drive.switched()[0] == (0, "kill_switch")
    assert (first.may_enter, first.vetoes) == (False, ("kill_switch",))
    assert "--clear-kill" in plain.message
    assert (still.vetoes, lifted.ok, again.status().vetoes, again.status().may_enter) == (
        ("kill_switch",),
        True,
        (),
        True,
    )


def test_kill_that_cannot_be_kept_is_in_force_and_says_so(tmp_path: Path) -> None:
    """The switch counts at once; that a restart would forget it is refused and alerted."""
    blocked = tmp_path / "a-file"
    blocked.write_text("not a folder")
    seat = Seat(Drive().warm(), blocked)
    reply = seat.say("kill")

    assert (reply.ok, seat.drive.engine.controls.is_killed) == (False, True)
    assert "a restart would forget it" in reply.message
    assert seat.told.kinds == [AlertKind.KILL_SWITCH, AlertKind.KILL_SWITCH]


def test_command_before_the_first_bar_is_in_the_log(tmp_path: Path) -> None:
    """It waits for the log to begin, and counts from its first bar."""
    seat = Seat(Drive(), tmp_path)
    seat.say("pause")
    seat.drive.bar()

    assert seat.drive.journal.lines[0].startswith(b'{"start":')
    assert seat.commands() == [(0, {"command": "pause"})]
    assert seat.drive.switched() == [(0, "paused")]


class Meddling(FakeAdvisor):
    """Has the operator speak while a bar is decided."""

    def __init__(self) -> None:
        super().__init__()
        self.desk: Desk | None = None
        self.seen: list[tuple[bool, str]] = []
        self.asked: list[asyncio.Task[Reply]] = []

    async def answer(self, question: Question) -> Answer:
        """A command and a status arrive inside the engine's only await."""
        if self.desk is not None and not self.asked:
            loop = asyncio.get_running_loop()
            self.asked.append(loop.create_task(self.desk.answer(Request(command=CommandName.PAUSE))))
            self.asked.append(loop.create_task(self.desk.answer(Request(command=CommandName.STATUS))))
            for _ in range(3):
                await asyncio.sleep(0)
            self.seen = [(task.done(), self.desk._engine.controls.state) for task in self.asked]
        return await super().answer(question)


def test_command_that_arrives_while_a_bar_is_decided_waits_for_its_end(tmp_path: Path) -> None:
    """The status is told at once; the command changes nothing before the bar is recorded."""
    advisor = Meddling()
    drive = Drive("advisor.backend=rules", advisor=advisor).warm("10:00")
    seat = Seat(drive, tmp_path)
    advisor.desk = seat.desk
    first = drive.engine.bars
    bars = []
    for _ in range(40):
        bars.append(drive.shape(None, None, None, None))
        drive.now_ns = bars[-1].ts_close_ns
    asyncio.run(drive.engine.run(seat.desk.between(MemoryFeed(bars, chunk_bars=1))))
    ((from_bar, said),) = seat.commands()

    assert advisor.seen == [(False, "enabled"), (True, "enabled")]
    assert said == {"command": "pause"}
    assert advisor.asked[0].result().ok
    asked_at = next(record.seq for record in drive.records()[first:] if record.query.asked)
    assert from_bar == asked_at + 1


def test_command_after_the_end_is_refused_and_a_kill_is_kept(seat: Seat) -> None:
    """The log is closed: nothing can be carried out any more, but the next run must not trade."""
    seat.drive.finish()
    seat.desk.end()
    lines = len(seat.drive.journal.lines)

    assert [seat.say(name).ok for name in ("pause", "resume", "flatten")] == [False, False, False]
    assert (seat.say("kill").ok, seat.switch.is_kept, len(seat.drive.journal.lines)) == (True, True, lines)


def test_command_that_waits_when_the_run_ends_is_answered(seat: Seat) -> None:
    """Nobody waits for a run that is over."""

    async def ending() -> Reply:
        seat.desk.bars_begin()
        waiting = asyncio.get_running_loop().create_task(seat.desk.answer(Request(command=CommandName.PAUSE)))
        await asyncio.sleep(0)
        seat.desk.end()
        return await waiting

    assert "ending" in asyncio.run(ending()).message


def test_status_says_what_is_held_and_what_is_left(seat: Seat) -> None:
    """The figures are those of the book, in dollars and points."""
    seat.drive.lose()
    seat.drive.enter()
    record = seat.drive.bar(close=8)
    status = seat.status()
    book = seat.drive.book

    assert status.position is not None
    assert (status.position.qty, status.position.stop, status.position.target) == (
        1,
        book.stop_ticks / 4,
        book.target_ticks / 4,
    )
    assert status.position.open_pnl_usd == status.equity_usd - status.balance_usd
    assert (status.equity_usd, status.bars, status.last_bar_utc) == (
        book.equity_cents / 100,
        record.seq + 1,
        record.bar.close_utc,
    )
    assert status.day_pnl_usd == (book.equity_cents - 5_000_000) / 100
    assert (status.limits.trades_left, status.limits.losses_left) == (18, 2)
    assert status.limits.to_daily_loss_usd == 1_000 + status.day_pnl_usd
    assert status.limits.to_trailing_breach_usd == (book.equity_cents - book.threshold_cents) / 100
    assert status.limits.to_drawdown_proximity_usd == status.limits.to_trailing_breach_usd - 500
    assert (status.may_enter, status.account) == (True, "paper account 1")
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


def test_status_before_the_first_bar_says_so(tmp_path: Path) -> None:
    """Nothing is invented."""
    status = Seat(Drive(reconciled=False), tmp_path).status()

    assert (status.bars, status.last_bar_utc, status.session, status.may_enter) == (0, None, None, False)
    assert status.state == "not_reconciled"


def test_trouble_is_alerted_once(tmp_path: Path) -> None:
    """A strategy that fails, and a log that cannot be kept."""
    journal = MemoryJournal()
    drive = Drive(journal=journal).warm()
    seat = Seat(drive, tmp_path)
    drive.engine.protect_only("no model")
    journal.is_healthy = False
    for _ in range(2):
        seat.desk.bars_begin()
        drive.bar()
        seat.desk.bars_done()

    assert seat.told.kinds == [AlertKind.PROTECT_ONLY, AlertKind.JOURNAL_TROUBLE]
    assert (seat.status().log_is_healthy, seat.status().may_enter) == (False, False)
