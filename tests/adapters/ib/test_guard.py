"""No position without a stop, whatever becomes of orders: laid, closed, tidied up, told."""

import threading
from itertools import pairwise
from pathlib import Path

import pytest
from broker_builders import LAST, REF, Bench, a_bracket, a_flatten, trading
from gateway_builders import some_bars
from msgspec.structs import replace

from trader.adapters.ib.orders import target_draft
from trader.domain.actions import Side
from trader.domain.orders import Cancel, ExitReason, Protect, Unfilled
from trader.gateway.checker import Findings, check
from trader.gateway.faults import Fault, Verb
from trader.gateway.intake import Refusal
from trader.gateway.orders import Resting, Status

STOPPED = some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))


def found(bench: Bench) -> Findings:
    """What the exchange's ledger shows."""
    entries = bench.gateway.ledger.entries
    return check(entries, until_s=entries[-1].at_s)


def fill_again(bench: Bench, order: Resting) -> None:
    """An order that has ended fills all the same."""
    order.status = Status.SUBMITTED
    bench.gateway.exchange.book._alive.append(order)
    bench.gateway.exchange.matcher.fill_at_last(order)


async def test_a_stop_that_is_refused_for_an_open_position_closes_it(tmp_path: Path) -> None:
    """The bracket's stop is cancelled by hand, and the one that is to replace it is refused."""
    async with trading(tmp_path, Fault(do=Verb.REJECT, nth=4, code=201)) as bench:
        await bench.enter()
        bench.gateway.exchange.cancel(1, bench.working[-1].spec.order_id)
        await bench.until(lambda: not bench.position_qty and bench.watcher.exits)
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.UNPROTECTED)]
        assert "refused" in bench.watcher.naked[0]
        await bench.until(lambda: not bench.working)
        assert found(bench).is_clean


async def test_a_stop_that_is_cancelled_by_hand_is_laid_again(tmp_path: Path) -> None:
    """At its level, in the same group, under a reference of its own."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        bench.gateway.exchange.cancel(1, bench.working[-1].spec.order_id)
        await bench.until(lambda: (f"{REF}.p1", "STP", LAST - 40) in bench.resting())
        await bench.calm()
        assert (bench.working[-1].spec.oca_group, bench.working[-1].spec.tif) == (REF, "GTC")
        assert (bench.position_qty, bench.watcher.naked) == (1, [])


async def test_a_position_without_a_stop_for_too_long_is_told(tmp_path: Path) -> None:
    """Nothing can be asked, and nothing comes: the guard needs no answer."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        bench.watcher.flattens = False
        bench.broker._room.ask = lambda why: None
        bench.gateway.exchange.cancel(1, bench.working[-1].spec.order_id)
        await bench.until(lambda: bench.watcher.naked)
        assert bench.watcher.naked[0] == "1 of +1 contracts have no stop"


async def test_a_stop_that_takes_a_part_of_an_entry_out_ends_the_rest_of_it(tmp_path: Path) -> None:
    """One of two is filled and stopped in the same bar; the other is taken back."""
    partial = Fault(do=Verb.PARTIAL, nth=1, portions=(1, 1))
    async with trading(tmp_path, partial, columns=STOPPED) as bench:
        bench.broker.submit(a_bracket(qty=2))
        await bench.until(lambda: bench.watcher.fills)
        bench.gateway.exchange.fills_at_once = False
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.unfilled)
        assert [(fill.qty, fill.remaining_qty) for fill in bench.watcher.fills[:1]] == [(1, 1)]
        assert bench.watcher.unfilled == [(REF, Unfilled.CANCELLED)]
        await bench.until(lambda: not bench.working)
        assert (bench.position_qty, bench.watcher.position_qty, found(bench).wrong_sides) == (0, 0, ())


async def test_an_entry_that_fills_after_its_end_is_protected_and_closed(tmp_path: Path) -> None:
    """Its exits went with it; a stop is laid first."""
    async with trading(tmp_path, gateway={}) as bench:
        bench.gateway.exchange.fills_at_once = False
        bench.broker.submit(a_bracket())
        await bench.until(lambda: len(bench.working) == 3)
        await bench.calm()
        bench.broker.submit(Cancel(order_ref=REF))
        await bench.until(lambda: bench.watcher.unfilled == [(REF, Unfilled.CANCELLED)])
        await bench.until(lambda: not bench.working)
        bench.gateway.exchange.fills_at_once = True
        fill_again(bench, bench.gateway.exchange.book.everything[0])
        await bench.until(lambda: bench.watcher.exits and not bench.working)
        sent = [each.spec.order_ref for each in bench.gateway.exchange.book.everything[3:]]
        assert (sent, bench.position_qty, len(bench.watcher.naked)) == ([f"{REF}.p1", f"{REF}.c1"], 0, 1)
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.UNPROTECTED)]


async def test_a_close_and_a_stop_at_the_same_moment_do_not_turn_the_position(tmp_path: Path) -> None:
    """They are of one group: the first that fills ends the other."""
    async with trading(tmp_path, columns=STOPPED) as bench:
        await bench.enter()
        bench.gateway.exchange.fills_at_once = False
        bench.broker.submit(a_flatten())
        await bench.until(lambda: len(bench.working) == 3)
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        await bench.broker.rest()
        assert (bench.position_qty, bench.working, len(bench.watcher.exits)) == (0, [], 1)
        assert found(bench).is_clean


async def test_a_position_that_was_turned_all_the_same_is_closed_again(tmp_path: Path) -> None:
    """The stop fills though the close has filled: short one, and flat again."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        stop = bench.working[-1]
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty and not bench.working)
        await bench.broker.rest()
        fill_again(bench, stop)
        await bench.until(lambda: len(bench.watcher.exits) == 3)
        assert (bench.position_qty, bench.watcher.position_qty) == (0, 0)
        assert bench.gateway.exchange.book.everything[-1].side is Side.BUY


async def test_exits_that_are_left_over_are_cancelled(tmp_path: Path) -> None:
    """Somebody closes the position by hand: the stop would open another."""
    async with trading(tmp_path, order_poll_s=0.1) as bench:
        await bench.enter()
        bench.gateway.exchange.trade_by_hand(-1)
        await bench.until(lambda: not bench.working)
        assert [qty for qty, _ in bench.watcher.foreign] == [-1]
        assert (bench.position_qty, found(bench).orphans) == (0, ())


@pytest.mark.parametrize("qty", [1, -2])
async def test_a_position_of_somebody_else_is_told_and_stopped(tmp_path: Path, qty: int) -> None:
    """At the poll; nothing may be entered beside it."""
    async with trading(tmp_path, position_poll_s=0.1, order_poll_s=0.1) as bench:
        bench.watcher.flattens = False
        bench.gateway.exchange.trade_by_hand(qty)
        await bench.until(lambda: bench.working)
        (stop,) = bench.working
        side = 1 if qty > 0 else -1
        assert (stop.kind, stop.side, stop.qty, stop.stop_ticks) == ("STP", -side, abs(qty), LAST - side * 80)
        assert [signed for signed, _ in bench.watcher.foreign] == [qty]
        bench.broker.submit(a_bracket())
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]


async def test_an_order_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """It carries no reference of ours: nothing is entered beside it, and nobody touches it."""
    async with trading(tmp_path, position_poll_s=0.1) as bench:
        by_hand = replace(target_draft(a_bracket()), order_ref="by hand", oca_group="")
        bench.broker._room.wire.place(by_hand, bench.link.ib.client.getReqId())
        await bench.until(lambda: bench.watcher.doubts[-1] is not None)
        bench.broker.submit(a_bracket())
        assert (bench.watcher.unfilled, len(bench.working)) == ([(REF, Unfilled.REJECTED)], 1)


async def test_protection_goes_on_when_the_state_cannot_be_kept(tmp_path: Path) -> None:
    """Entries do not."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        bench.writer.close()
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty and not bench.working)
        await bench.broker.rest()
        bench.broker.submit(a_bracket("NQH20-2"))
        assert bench.watcher.unfilled == [("NQH20-2", Unfilled.REJECTED)]


async def test_what_an_execution_cost_beyond_its_fill_is_told_once(tmp_path: Path) -> None:
    """The configuration says 2.00, the broker's report 2.25."""
    async with trading(tmp_path, commission_cents=200) as bench:
        await bench.enter()
        await bench.calm()
        assert bench.watcher.fees == [(REF, 25)]
        assert [each.commission_cents for each in (await bench.kept()).executions] == [225]


async def test_a_stop_for_the_line_is_laid(tmp_path: Path) -> None:
    """The line may ask for one too."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        bench.broker._room.ask = lambda why: None
        bench.gateway.exchange.cancel(1, bench.working[-1].spec.order_id)
        bench.broker.submit(Protect(order_ref=REF, side=Side.SELL, qty=1, stop_ticks=LAST - 30))
        await bench.until(lambda: (f"{REF}.p1", "STP", LAST - 30) in bench.resting())


async def test_exits_that_are_all_refused_are_tried_again_ever_more_seldom(tmp_path: Path) -> None:
    """Stop and close are refused for good; the line is told each time, and nothing runs away."""
    async with trading(tmp_path, close_tries=3, exit_pause_s=0.4) as bench:
        await bench.enter()
        exchange, asked = bench.gateway.exchange, list[float]()

        def refuse() -> Refusal:
            asked.append(bench.broker._room.now_s)
            return Refusal(201, "by the test")

        exchange._quirks.refusal = refuse  # type: ignore[method-assign]
        exchange.cancel_all()
        await bench.until(lambda: len(asked) >= 10)
        assert bench.watcher.broken == ["3 exits in a row were in vain, the last for: 201: by the test"]
        waits = [after - before for before, after in pairwise(asked)]
        assert min(waits[-3:]) >= 0.4
        assert len(bench.watcher.naked) <= len(asked)


async def test_an_operators_close_waits_for_no_pause(tmp_path: Path) -> None:
    """The broker takes it by then."""
    async with trading(tmp_path, close_tries=1, exit_pause_s=60.0, ask_every_s=30.0) as bench:
        await bench.enter()
        room = bench.broker._room
        room.exit_tries.failed(room.now_s)
        assert room.exits_wait
        bench.broker.submit(a_flatten(reason=ExitReason.FLAT_AT))
        await bench.broker.rest()
        assert bench.position_qty == 1
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty)


async def test_a_close_that_the_market_does_not_fill_is_a_doubt_until_it_does(tmp_path: Path) -> None:
    """A halt: the position is still there, and a second order would not end it sooner."""
    async with trading(tmp_path, unresolved_s=0.2) as bench:
        await bench.enter()
        bench.gateway.exchange.fills_at_once = False
        bench.broker.submit(a_flatten())
        await bench.until(lambda: "has not filled" in (bench.watcher.doubts[-1] or ""))
        close = bench.gateway.exchange.book.everything[-1]
        assert (bench.position_qty, len(bench.gateway.exchange.book.everything)) == (1, 4)
        bench.gateway.exchange.matcher.fill_at_last(close)
        await bench.until(lambda: not bench.position_qty)
        await bench.until(lambda: bench.watcher.doubts[-1] is None)


async def test_an_order_that_had_ended_and_works_again_is_asked_about_and_ended(tmp_path: Path) -> None:
    """Its end was told, then that it works: nobody would look for it before the next poll."""
    async with trading(tmp_path, columns=STOPPED) as bench:
        await bench.enter()
        target = bench.working[0]
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        await bench.calm()
        target.status = Status.SUBMITTED
        bench.gateway.exchange.book._alive.append(target)
        bench.gateway.exchange._notices.on_order(target)
        await bench.until(lambda: not target.is_working)


async def test_an_entry_that_the_disk_holds_up_does_not_leave_late(tmp_path: Path) -> None:
    """It was judged by the price of then; stops and closes leave without the disk after a while."""
    async with trading(tmp_path) as bench:
        disk, room = threading.Event(), bench.broker._room
        bench.writer.soon(lambda _: disk.wait())
        bench.broker.submit(a_bracket())
        late_s = room.due_s
        await bench.until(lambda: room.now_s > late_s)
        disk.set()
        await bench.until(lambda: bench.watcher.unfilled)
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
        assert bench.gateway.exchange.book.everything == []
