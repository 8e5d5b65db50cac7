"""When the broker is asked: at once for what fits nothing, and again soon where an answer is lost."""

import asyncio
import threading
from pathlib import Path

from broker_builders import LAST, REF, an_amend, trading
from test_foreign import trade

from trader.gateway.faults import Fault, Verb
from trader.gateway.layouts import Message, Request
from trader.gateway.orders import Leg
from trader.gateway.session import Session

NO_POLLS = {"position_poll_s": 0.0, "order_poll_s": 0.0, "ask_every_s": 0.02}
NEVER_S = 600.0
WATCHED = {str(Request.PLACE_ORDER), str(Request.ALL_OPEN_ORDERS)}


async def test_a_persons_trade_is_noticed_by_the_position_that_the_broker_tells_without_any_poll(
    tmp_path: Path,
) -> None:
    """No execution of another client is told of; the position is."""
    async with trading(tmp_path, **NO_POLLS) as bench:
        trade(bench, 2)
        await bench.until(lambda: [kind for _, kind, _ in bench.resting()] == ["STP"])
        assert [qty for qty, _ in bench.watcher.foreign] == [2]


async def test_an_answer_that_is_lost_is_asked_for_again_soon_and_not_when_the_connection_counts_as_broken(
    tmp_path: Path,
) -> None:
    """A person's trade waits behind a question whose answer never comes."""
    async with trading(tmp_path, ack_timeout_s=0.1, link={"request_timeout_s": NEVER_S}, **NO_POLLS) as bench:
        lost: list[str] = []
        known_take = bench.gateway.server.take

        def take(session: Session, fields: list[str]) -> None:
            if fields[0] == str(Request.EXECUTIONS) and not lost:
                lost.append(fields[0])
            else:
                known_take(session, fields)

        bench.gateway.server.take = take  # type: ignore[method-assign]
        trade(bench, 2)
        await bench.until(lambda: bench.watcher.foreign)
        assert lost


async def test_the_only_stop_behind_a_position_is_laid_again_before_its_acknowledgement_is_overdue(
    tmp_path: Path,
) -> None:
    """The broker has no trace of it, and nothing else covers the position."""
    lost = Fault(do=Verb.LOSE, nth=1, leg=Leg.STOP)
    async with trading(tmp_path, lost, ack_timeout_s=NEVER_S, unresolved_s=NEVER_S, **NO_POLLS) as bench:
        bench.watcher.flattens = False
        trade(bench, 1)
        await bench.until(lambda: [ref[-3:] for ref, _, _ in bench.resting()] == [".p2"])
        assert bench.watcher.doubts[-1] is None or "somebody else" in bench.watcher.doubts[-1]


async def test_a_position_that_is_told_behind_the_end_of_its_answer_is_not_taken_for_gone(tmp_path: Path) -> None:
    """The answer is complete, and says flat twice; what comes after it says otherwise."""
    late = Fault(do=Verb.REORDER, message=Message.POSITION, rate=1.0)
    async with trading(tmp_path, late, **{**NO_POLLS, "order_poll_s": 0.02}) as bench:
        asked: list[str] = []
        known_take = bench.gateway.server.take

        def take(session: Session, fields: list[str]) -> None:
            asked.extend(fields[0] for _ in range(fields[0] == str(Request.ALL_OPEN_ORDERS)))
            known_take(session, fields)

        bench.gateway.server.take = take  # type: ignore[method-assign]
        await bench.enter()
        so_far = len(asked)
        await bench.until(lambda: len(asked) >= so_far + 8)
        assert (bench.watcher.foreign, bench.watcher.naked, len(bench.working)) == ([], [], 2)


async def test_nothing_leaves_before_the_broker_was_asked_where_the_line_wants_it_while_getting_in_step(
    tmp_path: Path,
) -> None:
    """The disk is slow; a stop that is moved meanwhile is moved once the broker has been asked."""
    async with trading(tmp_path, **NO_POLLS) as bench:
        await bench.enter()
        heard: list[str] = []
        known_take = bench.gateway.server.take

        def take(session: Session, fields: list[str]) -> None:
            heard.extend(field for field in fields[:1] if field in WATCHED)
            known_take(session, fields)

        bench.gateway.server.take = take  # type: ignore[method-assign]
        disk = threading.Event()
        writing = asyncio.ensure_future(bench.writer.durable(lambda state: disk.wait()))
        bench.broker.submit(an_amend(LAST - 30, LAST + 120))
        bench.link.resync("a test")
        await bench.until(bench.broker._asker._one_at_a_time.locked)
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        disk.set()
        await bench.until(lambda: bench.link.is_up and (REF, "STP", LAST - 20) in bench.resting())
        await writing
        assert heard[0] == str(Request.ALL_OPEN_ORDERS)
