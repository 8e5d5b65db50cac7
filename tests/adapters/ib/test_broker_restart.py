"""A second life of the broker at the same gateway: nothing sent twice, nothing forgotten, a stop in place."""

from pathlib import Path

import pytest
from broker_builders import LAST, ME, REF, a_bracket, a_flatten, an_amend, known, life
from gateway_builders import running, some_bars

from trader.adapters.state.database import StateDb
from trader.domain.orders import AmendCause, ExitReason, Unfilled
from trader.gateway.checker import check
from trader.gateway.faults import Fault, Verb
from trader.gateway.mischief import OrderMischief, play_faults

EXECUTION = 11
STOPPED = some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))


async def test_a_position_with_its_exits_is_taken_over_as_it_is(tmp_path: Path) -> None:
    """The exits can be moved, and the exit is told."""
    async with running(STOPPED) as server:
        async with life(tmp_path, server) as bench:
            await bench.enter()
        async with life(tmp_path, server, known(1)) as bench:
            assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]
            bench.broker.submit(an_amend(LAST - 20, LAST + 120))
            await bench.until(lambda: bench.working[-1].stop_ticks == LAST - 20)
            server.step()
            await bench.until(lambda: bench.watcher.exits)
            assert bench.watcher.exits == [(1, LAST - 21, ExitReason.TRAIL)]
            assert [fill.nth for fill in bench.watcher.fills] == [2]
            assert (bench.working, bench.watcher.foreign, bench.watcher.naked) == ([], [], [])


async def test_a_stop_that_was_to_be_moved_when_it_died_is_moved(tmp_path: Path) -> None:
    """The line had it at another level."""
    async with running() as server:
        async with life(tmp_path, server) as bench:
            await bench.enter()
        async with life(tmp_path, server, known(1, stop=LAST - 12)) as bench:
            assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 12)]
            assert (bench.position_qty, bench.watcher.naked) == (1, [])


async def test_an_exit_between_two_lives_is_told_in_the_second(tmp_path: Path) -> None:
    """With its reason, which the intents have kept."""
    async with running(STOPPED) as server:
        async with life(tmp_path, server) as bench:
            await bench.enter()
            bench.broker.submit(an_amend(LAST - 20, LAST + 120, AmendCause.BREAK_EVEN))
            await bench.until(lambda: bench.working[-1].stop_ticks == LAST - 20)
            await bench.calm()
        server.step()
        async with life(tmp_path, server, known(1, stop=LAST - 20)) as bench:
            assert bench.watcher.exits == [(1, LAST - 21, ExitReason.BREAK_EVEN)]
            assert (bench.working, bench.watcher.foreign) == ([], [])


async def test_what_an_exit_between_two_lives_cost_is_told_in_the_second(tmp_path: Path) -> None:
    """The configuration says 2.00, the broker 2.25, in the same answer as the execution."""
    async with running(STOPPED) as server:
        async with life(tmp_path, server, commission_cents=200) as bench:
            await bench.enter()
            await bench.calm()
        server.step()
        async with life(tmp_path, server, known(1), commission_cents=200) as bench:
            assert [fill.commission_cents for fill in bench.watcher.fills] == [200]
            assert bench.watcher.fees == [(REF, 25)]


async def test_a_cost_that_the_first_life_never_heard_is_told_in_the_second(tmp_path: Path) -> None:
    """The report overtook its execution, and the client had nothing to put it to."""
    mischief = OrderMischief((Fault(do=Verb.REORDER, nth=1, message=EXECUTION),), 1)
    async with running(None, mischief) as server:
        play_faults(server, mischief)
        async with life(tmp_path, server, commission_cents=200) as bench:
            await bench.enter()
            assert bench.watcher.fees == []
        async with life(tmp_path, server, known(1), commission_cents=200) as bench:
            await bench.calm()
            assert bench.watcher.fees == [(REF, 25)]
            assert [each.commission_cents for each in (await bench.kept()).executions] == [225]


@pytest.mark.parametrize("has_left", [True, False])
async def test_an_entry_that_was_meant_when_it_died_is_resolved_by_the_broker(tmp_path: Path, has_left: bool) -> None:
    """Its intent was written; whether it left only the broker knows."""
    async with running() as server:
        if has_left:
            other = tmp_path / "other"
            other.mkdir()
            async with life(other, server) as bench:
                await bench.enter()
        state = StateDb(tmp_path, ME)
        state.intend(REF, REF, a_bracket(), 1)
        state.close()
        async with life(tmp_path, server, known(0, entry_working=True)) as bench:
            if has_left:
                assert [fill.reason for fill in bench.watcher.fills] == [None]
                assert bench.watcher.unfilled == []
            else:
                assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
            await bench.broker.rest()
            assert len(bench.working) == (2 if has_left else 0)
            assert await bench.intents() == {REF: "filled" if has_left else "denied"}
            entries = server.ledger.entries
            assert check(entries, until_s=entries[-1].at_s if entries else 0.0).is_clean


async def test_a_close_that_was_under_way_goes_on(tmp_path: Path) -> None:
    """Under its next reference, and nobody is told of a naked position: its stop stands."""
    async with running() as server:
        async with life(tmp_path, server) as bench:
            await bench.enter()
        state = StateDb(tmp_path, ME)
        state.intend(f"{REF}.c1", REF, a_flatten(), 1)
        state.close()
        async with life(tmp_path, server, known(1, closing=True)) as bench:
            await bench.until(lambda: not bench.position_qty)
            await bench.until(lambda: bench.watcher.exits)
            assert bench.watcher.exits == [(1, LAST - 1, ExitReason.OPERATOR)]
            assert server.exchange.book.everything[-1].spec.order_ref == f"{REF}.c2"
            assert bench.watcher.naked == []


@pytest.mark.parametrize("runs_late", [True, False])
async def test_a_stop_is_laid_in_the_first_synchronisation_whichever_task_begins_first(
    tmp_path: Path, runs_late: bool
) -> None:
    """It leaves before the link is up, and the next one too."""
    async with running() as server:
        server.account.book(server.market.front, 1, LAST)
        async with life(tmp_path, server, known(1), runs_late=runs_late) as bench:
            assert bench.resting() == [(f"{REF}.p1", "STP", LAST - 40)]
            server.exchange.cancel(1, bench.working[0].spec.order_id)
            await bench.until(lambda: bench.resting() == [(f"{REF}.p2", "STP", LAST - 40)])


async def test_a_position_in_another_month_is_refused_with_its_name(tmp_path: Path) -> None:
    """Nothing is sent."""
    async with running() as server:
        months = [each for each in server.market.contracts._months if each != server.market.front]
        server.account.book(months[0], 1, LAST)
        with pytest.raises(Exception, match="close that position by hand"):
            async with life(tmp_path, server):
                pass
        assert server.exchange.book.everything == []
