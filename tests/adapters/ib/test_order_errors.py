"""Each order error on each leg and on a change: what is left at the exchange, and what the line is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from broker_builders import LAST, REF, a_bracket, a_flatten, an_amend, trading

from trader.adapters.ib.order_errors import REACTIONS, Reaction, reaction_to
from trader.domain.orders import ExitReason, Unfilled
from trader.gateway.faults import Fault, Verb

CODES = sorted(set(REACTIONS) - {202})  # 202 comes with a cancel, and refuses nothing
IN_BATCHES = pytest.mark.parametrize("codes", [CODES[first::5] for first in range(5)], ids=str)
Case = Callable[[Path, int], Awaitable[None]]
FAST = {"ack_timeout_s": 0.08, "ask_every_s": 0.1, "naked_grace_s": 0.05}


def refusal(nth: int, code: int) -> Fault:
    """The nth order message, new or changed, is refused."""
    return Fault(do=Verb.REJECT, nth=nth, code=code)


async def entry_refused(folder: Path, code: int) -> None:
    """The exits are refused with it, as they have no parent; the line hears once."""
    async with trading(folder, refusal(1, code), **FAST) as bench:
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.unfilled and not bench.working)
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
        assert (bench.position_qty, bench.watcher.fills, bench.watcher.naked) == (0, [], [])


async def target_refused(folder: Path, code: int) -> None:
    """The position goes on."""
    async with trading(folder, refusal(2, code), **FAST) as bench:
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.fills)
        await bench.calm()
        assert bench.resting() == [(REF, "STP", LAST - 40)]
        assert (bench.position_qty, bench.watcher.naked, bench.watcher.unfilled) == (1, [], [])


async def stop_refused(folder: Path, code: int) -> None:
    """It is the last of the three: without it the entry was never transmitted."""
    async with trading(folder, refusal(3, code), **FAST) as bench:
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.unfilled and not bench.working)
        assert (bench.position_qty, bench.watcher.fills) == (0, [])
        assert len(bench.watcher.unfilled) == 1


async def change_refused(folder: Path, code: int) -> None:
    """The stop works on where it was meanwhile, although the client may believe it cancelled."""
    async with trading(folder, refusal(4, code), **FAST) as bench:
        await bench.enter()
        bench.broker.submit(an_amend(LAST - 20, LAST + 140))
        await bench.until(lambda: bench.resting() == [(REF, "LMT", LAST + 140), (REF, "STP", LAST - 20)])
        await bench.calm()
        assert (bench.position_qty, bench.watcher.naked, bench.watcher.exits) == (1, [], [])


async def close_refused(folder: Path, code: int) -> None:
    """The stop stays until one fills."""
    async with trading(folder, refusal(4, code), **FAST) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        await bench.until(lambda: not bench.position_qty and bench.watcher.exits)
        await bench.calm()
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.OPERATOR)]
        assert [each.spec.order_ref for each in bench.gateway.exchange.book.everything][3:] == [f"{REF}.c2"]
        assert not bench.working


async def of_each(codes: Sequence[int], case: Case, folder: Path) -> None:
    """The case for several codes, each before a gateway of its own, side by side."""

    async def one(code: int) -> None:
        place = folder / str(code)
        place.mkdir()
        try:
            await case(place, code)
        except BaseException as error:  # whatever it was, the code that it was about is wanted
            error.add_note(f"code {code}")
            raise

    async with asyncio.TaskGroup() as tasks:
        for code in codes:
            tasks.create_task(one(code))


@IN_BATCHES
async def test_an_entry_that_is_refused_leaves_nothing(tmp_path: Path, codes: Sequence[int]) -> None:
    """And the line hears of it once."""
    await of_each(codes, entry_refused, tmp_path)


@IN_BATCHES
async def test_a_target_that_is_refused_leaves_the_stop(tmp_path: Path, codes: Sequence[int]) -> None:
    """The position goes on with it alone."""
    await of_each(codes, target_refused, tmp_path)


@IN_BATCHES
async def test_a_stop_that_is_refused_takes_its_bracket_back(tmp_path: Path, codes: Sequence[int]) -> None:
    """Nothing has been entered."""
    await of_each(codes, stop_refused, tmp_path)


@IN_BATCHES
async def test_a_change_that_is_refused_is_made_again(tmp_path: Path, codes: Sequence[int]) -> None:
    """The stop is never gone."""
    await of_each(codes, change_refused, tmp_path)


@IN_BATCHES
async def test_a_close_that_is_refused_is_sent_again_under_another_reference(
    tmp_path: Path, codes: Sequence[int]
) -> None:
    """Once, and no more than once."""
    await of_each(codes, close_refused, tmp_path)


def test_a_code_that_is_not_in_the_table_is_asked_about() -> None:
    """And 2100 to 2199 are warnings."""
    assert (reaction_to(99_999), reaction_to(2_109)) == (Reaction.ASK, Reaction.NOTE)


def test_the_table_has_more_than_25_codes() -> None:
    """As many as there are tried above."""
    assert len(CODES) >= 25
