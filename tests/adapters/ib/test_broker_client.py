"""What the client library gets wrong, each with what is done about it."""

import time
from pathlib import Path

import pytest
from broker_builders import LAST, NQ, REF, a_bracket, a_flatten, an_amend, trading
from gateway_builders import some_bars
from ib_builders import LIBRARY, deaf_to
from msgspec.structs import replace

from trader.adapters.ib.orders import Sending, library_order, target_draft
from trader.adapters.ib.sender import SenderTerms
from trader.adapters.state.records import Leg
from trader.domain.orders import AmendCause, Cancel, ExitReason, Unfilled
from trader.gateway.faults import Fault, Verb

NARROW = SenderTerms(messages_a_window=20, window_s=0.5, disk_patience_s=1.0)
STOPPED = some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))


LIES = (103, 104, 135, 161, 10_147, 10_148, 10_349)


@pytest.mark.parametrize("code", LIES)
async def test_an_order_that_the_client_calls_cancelled_works_on(tmp_path: Path, code: int) -> None:
    """The broker is asked and believed: no second stop, no close, and the order can still be moved."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        stop = bench.working[-1]
        verdicts: list[str] = []
        bench.link.ib.orderStatusEvent.connect(lambda trade: verdicts.append(trade.orderStatus.status))
        bench.gateway.reporter.on_error(1, stop.spec.order_id, code, "by the test")
        await bench.until(lambda: "Cancelled" in verdicts)
        await bench.calm()
        assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        await bench.until(lambda: stop.stop_ticks == LAST - 20)
        assert (bench.watcher.naked, len(bench.gateway.exchange.book.everything)) == ([], 3)


async def test_the_clients_verdict_on_an_order_is_not_believed_while_nobody_can_be_asked(tmp_path: Path) -> None:
    """The stop can be moved although the broker's list of orders does not come."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        stop = bench.working[-1]
        bench.gateway.server.tap = deaf_to(53)
        verdicts: list[str] = []
        bench.link.ib.orderStatusEvent.connect(lambda trade: verdicts.append(trade.orderStatus.status))
        bench.gateway.reporter.on_error(1, stop.spec.order_id, 161, "by the test")
        await bench.until(lambda: "Cancelled" in verdicts)
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        await bench.until(lambda: stop.stop_ticks == LAST - 20)
        assert bench.watcher.naked == []


async def test_a_price_is_on_the_tick_whatever_it_was_computed_from() -> None:
    """The client leaves an order that is refused for its price (110) waiting for ever."""
    draft = target_draft(a_bracket())
    sending = Sending(draft=draft, order_id=1, parent_id=0, transmit=True, account="DU1234567")
    order = library_order(LIBRARY.order, sending, NQ)
    assert (order.lmtPrice, order.lmtPrice % NQ.tick) == (8_030.0, 0.0)


async def test_an_order_refused_for_its_price_does_not_wait_for_ever(tmp_path: Path) -> None:
    """110 is a warning to the client."""
    async with trading(tmp_path, Fault(do=Verb.REJECT, nth=1, code=110)) as bench:
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.unfilled)
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]


async def test_an_order_of_which_nothing_is_heard_is_asked_about(tmp_path: Path) -> None:
    """Every word of the entry is lost: in doubt, then filled, then no doubt."""
    lost = [Fault(do=Verb.DROP, rate=1.0, message=message) for message in (3, 5, 11)]
    async with trading(tmp_path, *lost) as bench:
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.doubts[-1:] not in ([], [None]))
        bench.gateway.server.tap = None
        await bench.until(lambda: bench.watcher.fills)
        await bench.until(lambda: bench.watcher.doubts[-1] is None)
        assert (len(bench.watcher.fills), bench.watcher.broken) == (1, [])


async def test_an_order_that_stays_in_doubt_ends_entries_for_good(tmp_path: Path) -> None:
    """After `unresolved_s`; a later bracket is denied."""
    async with trading(tmp_path, unresolved_s=0.3) as bench:
        bench.gateway.server.tap = deaf_to(3, 5, 11, 53)
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.broken)
        bench.broker.submit(a_bracket("NQH20-2"))
        assert bench.watcher.unfilled[-1] == ("NQH20-2", Unfilled.REJECTED)


async def test_a_fill_whose_message_was_lost_is_found(tmp_path: Path) -> None:
    """The status says filled, and no execution comes."""
    async with trading(tmp_path, Fault(do=Verb.DROP, nth=2, message=11), columns=STOPPED) as bench:
        await bench.enter()
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]


@pytest.mark.parametrize("verb", [Verb.DUPLICATE, Verb.REORDER])
async def test_an_execution_counts_once_and_in_any_order(tmp_path: Path, verb: Verb) -> None:
    """By its own id."""
    async with trading(tmp_path, Fault(do=verb, nth=1, message=11)) as bench:
        await bench.enter()
        await bench.calm()
        assert len(bench.watcher.fills) == 1


async def test_orders_are_known_by_reference_after_the_brokers_numbers_went_back(tmp_path: Path) -> None:
    """The socket drops, the next valid id is one that was used: the stop can be moved, and no number comes twice."""
    faults = (Fault(do=Verb.RESET, bar=0), Fault(do=Verb.ROLL_BACK_IDS, bar=0, ids=3))
    async with trading(tmp_path, *faults) as bench:
        await bench.enter()
        stop = bench.working[-1]
        bench.gateway.step()
        await bench.until(lambda: not bench.link.is_up)
        await bench.link.wait_up()
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        await bench.until(lambda: stop.stop_ticks == LAST - 20)
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty and bench.watcher.exits)
        numbers = [each.spec.order_id for each in bench.gateway.exchange.book.everything]
        assert (len(set(numbers)), len(bench.watcher.fills)) == (4, 2)


async def test_no_number_is_used_twice_after_everything_has_ended(tmp_path: Path) -> None:
    """The broker offers the numbers of the last bracket again."""
    faults = (Fault(do=Verb.ROLL_BACK_IDS, bar=0, ids=40), Fault(do=Verb.RESET, bar=0))
    async with trading(tmp_path, *faults) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        await bench.until(lambda: bench.watcher.exits and not bench.working)
        await bench.broker.rest()
        bench.gateway.step()
        await bench.until(lambda: not bench.link.is_up)
        await bench.link.wait_up()
        bench.broker.submit(a_bracket("NQH20-2"))
        await bench.until(lambda: len(bench.watcher.fills) == 3)
        numbers = [each.spec.order_id for each in bench.gateway.exchange.book.everything]
        assert len(numbers) == len(set(numbers)) == 7


async def test_a_corrected_execution_is_the_same_one(tmp_path: Path) -> None:
    """Its id differs in the last part only."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        (execution,) = (await bench.kept()).executions
        again = replace(execution, exec_id=execution.exec_id[:-1] + "2", leg=None)
        bench.broker._hearing.on_execution(again, 0)
        assert (len(bench.watcher.fills), len((await bench.kept()).executions)) == (1, 1)


async def test_after_a_pause_of_the_loop_nothing_leaves_before_the_broker_was_asked(tmp_path: Path) -> None:
    """The close that waited for the disk is denied, and another one is derived."""
    async with trading(tmp_path, link={"loop_pause_s": 0.3}) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        time.sleep(0.6)  # noqa: ASYNC251 -- a loop that stands still is what is tested
        await bench.until(lambda: bench.watcher.exits and not bench.working)
        intents = await bench.intents()
        assert (intents[f"{REF}.c1"], intents[f"{REF}.c2"]) == ("denied", "filled")


async def test_a_fill_while_the_link_was_down_is_told_when_it_is_back(tmp_path: Path) -> None:
    """Once, by the executions that the broker lists."""
    async with trading(tmp_path, Fault(do=Verb.RESET, bar=0), columns=STOPPED) as bench:
        await bench.enter()
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        await bench.link.wait_up()
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]
        assert (bench.working, bench.watcher.foreign, bench.watcher.naked) == ([], [], [])


@pytest.mark.parametrize("tells", [True, False])
async def test_a_fill_inside_an_outage_is_told_once(tmp_path: Path, tells: bool) -> None:
    """At once where it comes at once, else when the outage is over."""
    async with trading(tmp_path, Fault(do=Verb.OUTAGE, bar=0, tells=tells), columns=STOPPED) as bench:
        await bench.enter()
        bench.gateway.step()
        if tells:
            await bench.until(lambda: bench.watcher.exits)
        bench.gateway.step()
        await bench.link.wait_up()
        await bench.until(lambda: bench.watcher.exits)
        await bench.broker.rest()
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]
        assert (bench.working, bench.watcher.naked) == ([], [])


@pytest.mark.parametrize("tells", [True, False])
async def test_a_cancel_inside_an_outage_is_heard_and_answered_after_it(tmp_path: Path, tells: bool) -> None:
    """The stop ends: nothing is sent while nobody can be asked, and then one is laid."""
    async with trading(tmp_path, Fault(do=Verb.OUTAGE, bar=0, tells=tells), link={"lost_max_s": 60.0}) as bench:
        await bench.enter()
        room = bench.broker._room
        bench.gateway.open_bar()
        await bench.until(lambda: not bench.link.is_up)
        bench.gateway.exchange.cancel(1, bench.working[-1].spec.order_id)
        if tells:
            await bench.until(lambda: not room.live(Leg.STOP))
        assert len(bench.gateway.exchange.book.everything) == 3
        bench.gateway.finish_bar()
        bench.gateway.step()
        await bench.until(lambda: (f"{REF}.p1", "STP", LAST - 40) in bench.resting())
        assert bench.position_qty == 1


async def test_an_entry_of_which_nothing_is_heard_in_time_is_taken_back(tmp_path: Path) -> None:
    """It works at the exchange and every word of it is lost; its exits go with it."""
    async with trading(tmp_path) as bench:
        bench.gateway.exchange.fills_at_once = False
        bench.gateway.server.tap = deaf_to(3, 5, 11, 53)
        bench.broker.submit(a_bracket())
        await bench.until(lambda: len(bench.working) == 3)
        await bench.until(lambda: not bench.working)
        assert (bench.position_qty, bench.watcher.fills) == (0, [])


async def test_a_cancel_that_was_asked_for_comes_with_202_and_is_told_once(tmp_path: Path) -> None:
    """The error is a confirmation."""
    async with trading(tmp_path) as bench:
        bench.gateway.exchange.fills_at_once = False
        bench.broker.submit(a_bracket())
        await bench.until(lambda: len(bench.working) == 3)
        codes: list[int] = []
        bench.link.on_error(lambda order_id, code, text: codes.append(code))
        bench.broker.submit(Cancel(order_ref=REF))
        await bench.until(lambda: 202 in codes and not bench.working)
        await bench.calm()
        assert (bench.watcher.unfilled, bench.watcher.broken) == ([(REF, Unfilled.CANCELLED)], [])
        assert await bench.intents() == {REF: "cancelled", f"{REF}.x1": "filled"}


async def test_what_is_wanted_in_an_outage_is_sent_after_it(tmp_path: Path) -> None:
    """An entry is denied at once; a stop's new level waits, and is derived from what the broker then says."""
    async with trading(tmp_path, Fault(do=Verb.OUTAGE, bar=0)) as bench:
        await bench.enter()
        stop = bench.working[-1]
        bench.gateway.open_bar()
        await bench.until(lambda: not bench.link.is_up)
        bench.broker.submit(an_amend(LAST - 20, LAST + 120, AmendCause.BREAK_EVEN))
        bench.gateway.finish_bar()
        assert stop.stop_ticks == LAST - 40
        bench.gateway.step()
        await bench.until(lambda: stop.stop_ticks == LAST - 20)


async def test_an_entry_is_denied_while_the_link_is_not_up(tmp_path: Path) -> None:
    """And is not sent when it is."""
    async with trading(tmp_path, Fault(do=Verb.OUTAGE, bar=0)) as bench:
        bench.gateway.step()
        await bench.until(lambda: not bench.link.is_up)
        bench.broker.submit(a_bracket())
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
        bench.gateway.step()
        await bench.link.wait_up()
        await bench.broker.rest()
        assert bench.gateway.exchange.book.everything == []


async def test_an_order_that_left_as_the_socket_broke_is_not_sent_again(tmp_path: Path) -> None:
    """The answer is cut in half: after the next connection the broker's own list says that it filled."""
    async with trading(tmp_path, Fault(do=Verb.TRUNCATE, nth=1, message=11)) as bench:
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.fills)
        await bench.link.wait_up()
        await bench.broker.rest()
        assert (len(bench.gateway.exchange.book.everything), len(bench.watcher.fills)) == (3, 1)
        assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]


async def test_a_stop_is_moved_without_its_parents_number(tmp_path: Path) -> None:
    """With the number of a filled parent 135 comes back, and the client calls the stop cancelled."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        codes: list[int] = []
        bench.link.on_error(lambda order_id, code, text: codes.append(code))
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        await bench.broker.rest()
        assert (bench.working[-1].stop_ticks, codes) == (LAST - 20, [])


async def test_the_client_never_queues_what_is_sent(tmp_path: Path) -> None:
    """30 changes at once stay below the pace at which it would begin to."""
    terms = {"sender": NARROW}
    async with trading(tmp_path, **terms) as bench:
        await bench.enter()
        throttled: list[bool] = []
        bench.link.ib.client.throttleStart.connect(lambda: throttled.append(True))
        for level in range(30):
            bench.broker.submit(an_amend(LAST - 39 + level, LAST + 121 + level))
        await bench.until(lambda: bench.resting() == [(REF, "LMT", LAST + 150), (REF, "STP", LAST - 10)])
        assert throttled == []
