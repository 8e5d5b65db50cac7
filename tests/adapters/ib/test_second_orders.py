"""Orders that come after the bracket: closes that are refused, stops laid later, and an entry beyond its stop."""

from pathlib import Path

import pytest
from broker_builders import LAST, REF, Bench, a_bracket, a_flatten, trading
from gateway_builders import some_bars
from ib_builders import reset

from trader.domain.orders import ExitReason, Unfilled
from trader.gateway.checker import Findings, check
from trader.gateway.faults import Fault, Verb
from trader.gateway.layouts import Request
from trader.gateway.orders import Leg
from trader.gateway.session import Session

ONE_OF_A_KIND = pytest.mark.parametrize("code", [201, 103, 399, 99_999])
"""Refused, to be asked about, a remark, unknown: whatever it means, here the order is not there."""
FAST = {"ack_timeout_s": 0.08, "ask_every_s": 0.05, "naked_grace_s": 0.05}


def found(bench: Bench) -> Findings:
    """What the exchange's ledger shows."""
    entries = bench.gateway.ledger.entries
    return check(entries, until_s=entries[-1].at_s)


def sent_after(bench: Bench, count: int) -> list[str]:
    """References of the orders that the exchange has taken, without the first ones."""
    return [each.spec.order_ref for each in bench.gateway.exchange.book.everything[count:]]


@ONE_OF_A_KIND
async def test_closes_that_are_refused_end_after_so_many_and_trading_with_them(tmp_path: Path, code: int) -> None:
    """The stop stays, the line may send another one later, and that is one try and not as many again."""
    refusals = [Fault(do=Verb.REJECT, nth=nth, code=code, leg=Leg.CLOSE) for nth in (1, 2, 3, 4)]
    async with trading(tmp_path, *refusals, close_tries=3, **FAST) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        await bench.until(lambda: bench.watcher.broken)
        await bench.calm()
        assert "3 exits in a row were in vain" in bench.watcher.broken[0]
        assert bench.watcher.unfilled == [(f"{REF}.c3", Unfilled.REJECTED)]
        assert (bench.resting()[-1], bench.position_qty) == ((REF, "STP", LAST - 40), 1)
        bench.broker.submit(a_flatten())
        await bench.until(lambda: len(bench.watcher.unfilled) == 2)
        await bench.calm()
        assert bench.watcher.unfilled[1:] == [(f"{REF}.c4", Unfilled.REJECTED)]
        bench.broker.submit(a_flatten())
        await bench.until(lambda: bench.watcher.exits and not bench.working)
        assert (bench.watcher.exits, len(bench.watcher.broken)) == ([(1, LAST - 1, ExitReason.OPERATOR)], 1)
        assert found(bench).unprotected_s == 0.0


async def test_a_close_that_leaves_while_the_broker_is_asked_leaves_no_position_naked(tmp_path: Path) -> None:
    """The answer is of before it, and the stop stands: nobody is woken, and one close is sent, for its reason."""
    async with trading(tmp_path, **FAST) as bench:
        await bench.enter()
        known_take = bench.gateway.server.take
        answered: list[str] = []

        def take(session: Session, fields: list[str]) -> None:
            known_take(session, fields)
            if fields[0] == str(Request.POSITIONS):
                answered.append(fields[0])
                if len(answered) == 2:
                    bench.broker.submit(a_flatten())

        bench.gateway.server.take = take  # type: ignore[method-assign]
        await bench.broker.sync()
        await bench.until(lambda: bench.watcher.exits)
        assert (bench.watcher.exits, bench.watcher.naked) == ([(1, LAST - 1, ExitReason.OPERATOR)], [])
        assert len(sent_after(bench, 3)) == 1


async def test_a_close_that_fills_ends_the_count_of_those_refused(tmp_path: Path) -> None:
    """Two of three, then one that fills, then two again: nothing is broken."""
    refusals = [Fault(do=Verb.REJECT, nth=nth, code=201, leg=Leg.CLOSE) for nth in (1, 2, 4, 5)]
    async with trading(tmp_path, *refusals, close_tries=3, **FAST) as bench:
        for number in (1, 2):
            bench.broker.submit(a_bracket(f"NQH20-{number}"))
            await bench.until(lambda: bench.watcher.position_qty == 1)
            await bench.broker.rest()
            bench.broker.submit(a_flatten(ref=f"NQH20-{number}"))
            await bench.until(lambda: not bench.watcher.position_qty and not bench.working)
            await bench.calm()
        assert (bench.watcher.broken, len(bench.watcher.exits)) == ([], 2)


@ONE_OF_A_KIND
async def test_a_stop_laid_later_that_is_refused_closes_the_position(tmp_path: Path, code: int) -> None:
    """The bracket's own is cancelled by hand, and `.p1` is refused."""
    async with trading(tmp_path, Fault(do=Verb.REJECT, nth=2, code=code, leg=Leg.STOP), **FAST) as bench:
        await bench.enter()
        bench.gateway.exchange.cancel(1, bench.working[-1].spec.order_id)
        await bench.until(lambda: not bench.position_qty and bench.watcher.exits and not bench.working)
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.UNPROTECTED)]
        assert found(bench).is_clean


@ONE_OF_A_KIND
async def test_closes_are_refused_and_the_third_fills(tmp_path: Path, code: int) -> None:
    """Each under its own reference, none twice."""
    refusals = [Fault(do=Verb.REJECT, nth=nth, code=code, leg=Leg.CLOSE) for nth in (1, 2)]
    async with trading(tmp_path, *refusals, **FAST) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty and bench.watcher.exits and not bench.working)
        await bench.calm()
        assert sent_after(bench, 3) == [f"{REF}.c3"]
        assert (bench.watcher.exits, bench.watcher.broken) == ([(1, LAST - 1, ExitReason.OPERATOR)], [])


async def test_a_stop_larger_than_the_position_goes_once_one_of_its_size_is_laid(tmp_path: Path) -> None:
    """A person sells one of two: never a moment without a stop."""
    async with trading(tmp_path, order_poll_s=0.05, **FAST) as bench:
        await bench.enter(qty=2)
        bench.gateway.exchange.trade_by_hand(-1)
        await bench.until(lambda: bench.resting() == [(f"{REF}.p1", "STP", LAST - 40)])
        await bench.calm()
        assert (bench.position_qty, bench.working[0].qty, bench.watcher.naked) == (1, 1, [])
        assert found(bench).unprotected_s == 0.0
        assert [qty for qty, _ in bench.watcher.foreign] == [-1]


async def test_a_stop_of_an_entry_whose_rest_is_gone_goes_once_one_of_its_size_is_laid(tmp_path: Path) -> None:
    """One of two is filled, the other is cancelled at the exchange, and the children are as large as they were sent."""
    async with trading(tmp_path, Fault(do=Verb.PARTIAL, nth=1, portions=(1, 1)), order_poll_s=0.05, **FAST) as bench:
        bench.broker.submit(a_bracket(qty=2))
        await bench.until(lambda: bench.watcher.fills)
        bench.gateway.exchange.cancel(1, bench.gateway.exchange.book.everything[0].spec.order_id)
        await bench.until(lambda: bench.watcher.unfilled)
        await bench.calm()
        assert (bench.position_qty, sum(each.qty for each in bench.working if each.kind == "STP")) == (1, 1)
        assert (found(bench).unprotected_s, bench.watcher.naked) == (0.0, [])


async def test_a_stop_that_fills_at_an_entry_beyond_it_says_so(tmp_path: Path) -> None:
    """The market has run away from the decision's close: filled below the stop, and out at once."""
    async with trading(tmp_path, columns=some_bars((7_985.0, 7_985.0, 7_980.0, 7_985.0))) as bench:
        bench.gateway.exchange.fills_at_once = False
        bench.broker.submit(a_bracket())
        await bench.until(lambda: len(bench.working) == 3)
        bench.gateway.exchange.fills_at_once = True
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        assert [reason for _, _, reason in bench.watcher.exits] == [ExitReason.ENTRY_BEYOND_STOP]
        assert bench.watcher.fills[0].price_ticks < LAST - 40


async def test_numbers_never_go_back_within_a_life(tmp_path: Path) -> None:
    """Three connections, each told a lower number than the last."""
    async with trading(tmp_path) as bench:
        for number in (1, 2, 3):
            await bench.enter(ref=f"NQH20-{number}")
            bench.broker.submit(a_flatten(ref=f"NQH20-{number}"))
            await bench.until(lambda: not bench.watcher.position_qty and not bench.working)
            await bench.calm()
            client = bench.link.ib
            bench.gateway.ids.roll_back(5 * number)
            reset(bench.gateway)
            await bench.until(lambda client=client: bench.link.is_up and bench.link.ib is not client)
        numbers = [each.spec.order_id for each in bench.gateway.exchange.book.everything]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == 12


async def test_a_decision_that_is_handed_over_again_is_sent_once_and_its_orders_are_not_forgotten(
    tmp_path: Path,
) -> None:
    """By its reference, whenever it comes; the line hears nothing of it, and may close its position as before."""
    async with trading(tmp_path, **FAST) as bench:
        await bench.enter()
        bench.broker.submit(a_bracket())
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty and not bench.working)
        bench.broker.submit(a_bracket())
        await bench.calm()
        assert sent_after(bench, 3) == [f"{REF}.c1"]
        assert (bench.watcher.unfilled, bench.watcher.position_qty) == ([], 0)
