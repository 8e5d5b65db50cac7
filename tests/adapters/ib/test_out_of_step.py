"""What the line wants, and what the account does, while nobody is in step: nothing leaves on what was known before."""

from pathlib import Path

from broker_builders import LAST, ME, REF, Bench, a_bracket, a_flatten, an_amend, known, life, trading
from gateway_builders import running, some_bars
from ib_builders import deaf_to

from trader.adapters.state.database import StateDb
from trader.domain.orders import ExitReason, Order, Unfilled, foreign_ref
from trader.gateway.contracts import Wanted
from trader.gateway.faults import Fault, Verb
from trader.gateway.layouts import Request
from trader.gateway.mischief import OrderMischief, play_faults
from trader.gateway.orders import Leg, Step

STOPPED = some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))
ORDERS_AND_FILLS = (3, 5, 11, 59, 61)


def stop_unheard(bench: Bench) -> None:
    """The stop fills, and no word of it arrives."""
    bench.gateway.server.tap = deaf_to(*ORDERS_AND_FILLS)
    bench.gateway.step()
    bench.gateway.server.tap = None


def when_asked(bench: Bench, order: Order) -> None:
    """The line sends it when the broker is first asked, which is before it has answered."""
    waiting = [order]

    def gate(session: object, number: int, fields: list[str]) -> bool:
        del session, fields
        if number == Request.EXECUTIONS and waiting:
            bench.broker.submit(waiting.pop())
        return True

    bench.gateway.server.gate = gate


async def test_a_close_does_not_leave_before_the_broker_has_answered(tmp_path: Path) -> None:
    """The stop has filled meanwhile: a close on top of it would be a position of its own."""
    async with trading(tmp_path, columns=STOPPED) as bench:
        await bench.enter()
        await bench.calm()
        stop_unheard(bench)
        when_asked(bench, a_flatten(reason=ExitReason.FLAT_AT))
        bench.link.resync("the test wants it")
        await bench.until(lambda: bench.link.is_up)
        await bench.calm()
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]
        assert (bench.position_qty, len(bench.gateway.exchange.book.everything)) == (0, 3)


async def test_what_the_line_wants_while_out_of_step_is_done_once_the_broker_has_answered(tmp_path: Path) -> None:
    """The position is still there: it is closed, and its stop has stood until then."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        when_asked(bench, a_flatten(reason=ExitReason.FLAT_AT))
        bench.link.resync("the test wants it")
        await bench.until(lambda: bench.watcher.exits)
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.FLAT_AT)]
        await bench.until(lambda: not bench.working)


async def test_nothing_is_entered_between_a_lost_connection_and_the_next_answer(tmp_path: Path) -> None:
    """The line is told when it goes, and when it is in step again."""
    async with trading(tmp_path) as bench:
        before = bench.watcher.out_of_step
        for session in bench.gateway.server.sessions:
            session.reset()
        await bench.until(lambda: bench.watcher.out_of_step > before)
        assert not bench.link.is_up
        bench.broker.submit(a_bracket())
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
        await bench.until(lambda: bench.link.is_up)
        assert bench.watcher.doubts[-1] is None


async def test_a_position_in_another_month_ends_entries_and_leaves_ours_guarded(tmp_path: Path) -> None:
    """A person buys it while our stop fills unheard: that is booked all the same, and nothing of ours rests."""
    async with trading(tmp_path, columns=STOPPED) as bench:
        await bench.enter()
        gateway = bench.gateway
        stop_unheard(bench)
        (june,) = gateway.market.find(Wanted(local_symbol="NQM0"))
        gateway.account.book(june, 1, LAST)
        bench.link.resync("the test wants it")
        await bench.until(lambda: bench.watcher.exits)
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]
        assert "NQM0" in bench.watcher.broken[0]
        await bench.until(lambda: bench.link.is_up)
        assert (bench.position_qty, bench.working, bench.watcher.naked) == (0, [], [])


async def test_a_stop_whose_changes_are_all_refused_is_given_up_and_the_position_closed(tmp_path: Path) -> None:
    """After as many tries as the terms say."""
    refused = Fault(do=Verb.REJECT, rate=1.0, leg=Leg.STOP, step=Step.MODIFY, code=201)
    async with trading(tmp_path, refused, change_tries=3) as bench:
        await bench.enter()
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        await bench.until(lambda: bench.watcher.exits)
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.UNPROTECTED)]
        assert "cannot be moved" in bench.watcher.naked[0]
        amends = [ref for ref in await bench.intents() if ref.startswith(f"{REF}.a")]
        assert len(amends) == 3


async def test_a_state_that_is_new_takes_todays_bracket_for_somebody_elses_position(tmp_path: Path) -> None:
    """The state was moved away: its fills are of no decision that the line knows, and its stop stays."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    async with running() as server:
        async with life(tmp_path, server) as bench:
            await bench.enter()
        async with life(fresh, server, known(0, bracket=None)) as bench:
            await bench.calm()
            assert (bench.watcher.fills, [qty for qty, _ in bench.watcher.foreign]) == ([], [1])
            assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]


async def test_an_entry_that_filled_in_parts_between_two_lives_is_one_entry(tmp_path: Path) -> None:
    """Each part leaves less to come, and nothing is closed for it."""
    mischief = OrderMischief((Fault(do=Verb.PARTIAL, nth=1, portions=(1, 1)),), 1)
    other = tmp_path / "other"
    other.mkdir()
    async with running(None, mischief) as server:
        play_faults(server, mischief)
        async with life(other, server) as bench:
            bench.broker.submit(a_bracket(qty=2))
            await bench.until(lambda: bench.position_qty == 1)
            server.step()
            await bench.until(lambda: bench.position_qty == 2)
        state = StateDb(tmp_path, ME)
        state.intend(REF, REF, a_bracket(qty=2), 1)
        state.close()
        async with life(tmp_path, server, known(0, bracket=a_bracket(qty=2), entry_working=True)) as bench:
            await bench.calm()
            assert [(fill.qty, fill.remaining_qty) for fill in bench.watcher.fills] == [(1, 1), (1, 0)]
            assert (bench.watcher.naked, bench.position_qty) == ([], 2)


async def test_what_an_exit_too_many_has_opened_is_closed_under_the_name_that_the_line_has_for_it(
    tmp_path: Path,
) -> None:
    """A person closes a position of theirs; the stop behind it fills when its cancel is on the way."""
    async with trading(tmp_path, columns=STOPPED, position_poll_s=0.05) as bench:
        bench.gateway.exchange.trade_by_hand(1)
        await bench.until(lambda: bench.working)
        await bench.calm()
        name = foreign_ref(bench.watcher.foreign_ns)
        stop = bench.working[0]

        def gate(session: object, number: int, fields: list[str]) -> bool:
            del session, fields
            if number == Request.CANCEL_ORDER and stop.is_working:
                bench.gateway.exchange.matcher.fill_at_last(stop)
            return True

        bench.gateway.server.gate = gate
        bench.gateway.exchange.trade_by_hand(-1)
        await bench.until(lambda: bench.watcher.exits and not bench.position_qty)
        await bench.calm()
        assert {fill.order_ref for fill in bench.watcher.fills} == {name}
