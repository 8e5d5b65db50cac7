"""Our executions against the broker's, after a session: a broker at a real gateway, and the state that it keeps."""

import os
import stat
from pathlib import Path
from typing import Any

import msgspec
from broker_builders import LAST, REF, Bench, a_bracket, a_flatten, an_amend, pinned, trading
from gateway_builders import OPEN_NS, some_bars
from ib_builders import ACCOUNT, Told, soon
from msgspec.structs import replace

from trader.adapters.ib.books import Difference, Mismatch
from trader.adapters.line_file import LineFile
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.actions import Side
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS, MINUTE_NS
from trader.errors import LinkError
from trader.live.paper_ledger import KEPT_NS
from trader.live.session_books import Around, BooksFile, BooksTerms, SessionBooks
from trader.live.warm_up import write_warm_up

NQ = instrument("NQ")
TERMS = BooksTerms(account=ACCOUNT, every_s=60.0, settle_s=60.0, slippage_ticks=1)
DATE = "2019-12-03"
AFTER_NS = OPEN_NS + DAY_NS
STOPPED = some_bars((8_000.0, 8_001.0, 7_985.0, 7_990.0))


class Desk:
    """Books of a bench's account; `now_ns` is the broker's clock."""

    def __init__(self, bench: Bench, folder: Path | None) -> None:
        self.now_ns = OPEN_NS
        self.told = Told()
        self.is_flat = True
        self.bars: list[Bar] | None = list(some_bars().to_bars())
        around = Around(
            calendar=Calendar.load(),
            market=NQ,
            alerts=self.told,
            now_ns=lambda: self.now_ns,
            bars=self._bars_since,
            folder=lambda: folder,
            is_flat=lambda: self.is_flat,
        )
        self.books = SessionBooks(bench.link, bench.writer, TERMS, around)
        self.books.contract = pinned(bench.gateway)
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where it is written."""
        assert self._folder is not None
        return self._folder

    @property
    def report(self) -> BooksFile:
        """What was written."""
        assert self._folder is not None
        return msgspec.json.decode((self._folder / f"books-{DATE}.json").read_bytes(), type=BooksFile)

    @property
    def is_written(self) -> bool:
        """Whether there is a file."""
        return self._folder is not None and any(self._folder.glob("books-*"))

    async def compare(self) -> None:
        """The session is over."""
        await soon(self.books.look())
        self.now_ns = AFTER_NS
        await soon(self.books.compare_ended())

    async def _bars_since(self, since_ns: int) -> list[Bar]:
        if self.bars is None:
            msg = "no bars"
            raise LinkError(msg)
        return [bar for bar in self.bars if bar.ts_open_ns >= since_ns]


async def a_round_trip(bench: Bench) -> None:
    """One contract, closed at the market."""
    await bench.enter()
    bench.broker.submit(a_flatten())
    await bench.until(lambda: bench.watcher.exits and not bench.working)
    await bench.broker.rest()


def made_up(ts_ns: int, number: int = 9_999) -> Execution:
    """One that the broker knows nothing of."""
    return Execution(
        exec_id=f"0000e0d5.{number:08x}.01.01",
        order_ref="NQH20-7",
        leg=Leg.ENTRY,
        perm_id=1,
        side=Side.BUY,
        qty=1,
        price_ticks=LAST,
        commission_cents=225,
        ts_ns=ts_ns,
    )


async def test_a_session_that_is_the_brokers_to_the_cent_is_written_down_as_equal(tmp_path: Path) -> None:
    """Both sides of it, and that both fills cost what the simulation says: the open and one tick."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        await a_round_trip(bench)
        await desk.compare()
        report = desk.report
        assert (report.is_equal, report.untold, report.books.here) == (True, (), report.books.there)
        assert (report.books.here.executions, report.books.here.commission_cents) == (2, 450)
        assert [(each.leg, each.worse_cents) for each in report.slippage.orders] == [(Leg.ENTRY, 0), (Leg.CLOSE, 0)]
        assert desk.told.alerts == []


async def test_a_stop_is_measured_against_the_level_that_it_was_moved_to(tmp_path: Path) -> None:
    """Moved up by ten ticks, then filled one tick below: what the simulation gives away."""
    async with trading(tmp_path, columns=STOPPED) as bench:
        desk = Desk(bench, tmp_path)
        await bench.enter()
        bench.broker.submit(an_amend(LAST - 30, LAST + 120))
        await bench.broker.rest()
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        await bench.broker.rest()
        await desk.compare()
        stop = desk.report.slippage.orders[1]
        assert (stop.leg, stop.simulated_ticks, stop.worse_ticks) == (Leg.STOP, LAST - 31, 0.0)


async def test_each_difference_is_named_to_a_person(tmp_path: Path) -> None:
    """One execution too many here, one commission that is another there."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        await a_round_trip(bench)
        await bench.writer.durable(lambda db: db.executed(made_up(OPEN_NS + 1)))
        await soon(desk.books.look())
        desk.now_ns += MINUTE_NS
        await soon(desk.books.look())
        first = next(iter(desk.books._theirs))
        theirs = desk.books._theirs[first]
        desk.books._theirs[first] = replace(theirs, commission_cents=226)
        desk.now_ns = AFTER_NS
        await soon(desk.books.compare_ended())
        ((kind, why),) = desk.told.alerts
        assert kind is AlertKind.BOOKS_DIFFER
        assert made_up(0).exec_id in why
        assert f"{theirs.exec_id} {REF}: commission: here 225, there 226" in why
        assert set(desk.report.books.differences) == {
            Difference(what=Mismatch.COMMISSION, exec_id=theirs.exec_id, order_ref=REF, here=225, there=226),
            Difference(
                what=Mismatch.MISSING_THERE, exec_id=made_up(0).exec_id, order_ref="NQH20-7", here=1, there=None
            ),
        }


async def test_what_the_broker_told_before_midnight_counts_though_it_tells_it_no_more(tmp_path: Path) -> None:
    """It tells of the day's executions only: what it was heard to tell is kept."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        await a_round_trip(bench)
        await soon(desk.books.look())
        bench.gateway.exchange.executions.clear()
        await desk.compare()
        assert desk.report.is_equal


async def test_what_nobody_can_compare_any_more_is_no_difference(tmp_path: Path) -> None:
    """It happened before this run asked for the first time, and the broker's day is another."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        desk.now_ns = OPEN_NS + 600 * MINUTE_NS
        await bench.writer.durable(lambda db: db.executed(made_up(OPEN_NS + 1)))
        await desk.compare()
        assert (desk.report.is_equal, desk.report.untold) == (True, (made_up(0).exec_id,))
        assert desk.told.alerts == []


async def test_a_session_is_compared_once_and_one_without_a_trade_not_at_all(tmp_path: Path) -> None:
    """No file, no line."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        await desk.compare()
        assert not desk.is_written
        await a_round_trip(bench)
        await desk.compare()
        assert not desk.is_written


async def test_bars_that_do_not_come_leave_the_comparison_as_it_is(tmp_path: Path) -> None:
    """Only the prices of fills at the market cannot be judged."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        desk.bars = None
        await a_round_trip(bench)
        await desk.compare()
        assert desk.report.is_equal
        assert desk.report.slippage.unmeasured == (f"{REF} entry", f"{REF}.c1 close")


async def test_what_was_compared_is_forgotten_once_the_broker_does_not_tell_of_it(tmp_path: Path) -> None:
    """After eight days, and while nothing is open."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        old_ns = OPEN_NS - KEPT_NS - 1

        def lived(db: Any) -> None:
            for ref, ts_ns in (("NQH20-1", old_ns), ("NQH20-2", old_ns + 2)):
                db.intend(ref, ref, a_bracket(ref), ts_ns)
                db.moved(ref, IntentState.DENIED, ts_ns, "by the test")
            db.executed(made_up(old_ns))

        await bench.writer.durable(lived)
        desk.is_flat = False
        await desk.compare()
        assert len((await bench.kept()).intents) == 2
        desk.is_flat, desk.books._done = True, ""
        await desk.compare()
        assert [each.order_ref for each in (await bench.kept()).intents] == ["NQH20-2"]
        assert (await bench.kept()).executions == ()


async def test_every_session_that_has_ended_since_the_last_comparison_is_compared(tmp_path: Path) -> None:
    """No link over two ends of sessions: the first one's difference is named too; once, over restarts."""
    async with trading(tmp_path) as bench:
        (tmp_path / "first").mkdir()
        desk = Desk(bench, tmp_path / "first")
        await soon(desk.books.look())
        await a_round_trip(bench)
        await soon(desk.books.look())
        await bench.writer.durable(lambda db: db.executed(made_up(OPEN_NS + 2 * MINUTE_NS)))
        desk.now_ns += 3 * MINUTE_NS
        await soon(desk.books.look())
        await bench.writer.durable(lambda db: db.executed(made_up(OPEN_NS + DAY_NS, number=9_998)))
        desk.now_ns = AFTER_NS + DAY_NS
        await soon(desk.books.look())
        await soon(desk.books.compare_ended())
        assert sorted(each.name for each in desk.folder.iterdir()) == [f"books-{DATE}.json", "books-2019-12-04.json"]
        assert len(desk.told.alerts) == 1
        (tmp_path / "second").mkdir()
        again = Desk(bench, tmp_path / "second")
        again.now_ns = AFTER_NS + DAY_NS
        await soon(again.books.look())
        await soon(again.books.compare_ended())
        assert [each.name for each in again.folder.iterdir()] == ["books-2019-12-04.json"]


async def test_what_is_not_asked_for_before_the_brokers_day_ends_is_untold(tmp_path: Path) -> None:
    """The link went with the fill and came back on the next day: the broker tells nothing of it, and is not wrong."""
    async with trading(tmp_path) as bench:
        desk = Desk(bench, tmp_path)
        await soon(desk.books.look())
        await bench.writer.durable(lambda db: db.executed(made_up(OPEN_NS + MINUTE_NS)))
        desk.now_ns = AFTER_NS
        await soon(desk.books.look())
        await soon(desk.books.compare_ended())
        assert (desk.report.is_equal, desk.report.untold) == (True, (made_up(0).exec_id,))
        assert desk.told.alerts == []


async def test_what_is_written_of_trades_is_nobody_elses(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask, and over a file that was open to others."""
    before = os.umask(0)
    try:
        async with trading(tmp_path) as bench:
            desk = Desk(bench, tmp_path)
            path = tmp_path / f"books-{DATE}.json"
            path.touch(mode=0o644)
            await a_round_trip(bench)
            await desk.compare()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            write_warm_up(tmp_path, list(some_bars().to_bars()))
            assert stat.S_IMODE((tmp_path / "warm-up.csv").stat().st_mode) == 0o600
            LineFile(tmp_path / "lines.jsonl").close()
            assert stat.S_IMODE((tmp_path / "lines.jsonl").stat().st_mode) == 0o600
    finally:
        os.umask(before)
