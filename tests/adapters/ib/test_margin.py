"""What an entry needs at the broker and what the account has, asked of the real gateway by the real client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from broker_builders import Bench, a_bracket, pinned, trading
from gateway_builders import TERMS as GATEWAY
from ib_builders import ACCOUNT, LIBRARY, deaf_to, reset, soon, until
from msgspec.structs import replace

from trader.adapters.ib import margin
from trader.adapters.ib.margin import MarginDesk, MarginTerms
from trader.adapters.ib.plan import ForeignPolicy
from trader.errors import InvariantError, LinkError, RefusedError
from trader.gateway.faults import Fault, Verb
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import Request
from trader.risk.margin import UNKNOWN, MarginFigures, MarginPeriod

ASKING = MarginTerms(account=ACCOUNT, every_s=60.0, retry_s=0.02, age_s=0.0)
OPEN_ORDER, SUMMARY_END = 5, 64


class Told:
    """What the gate would be handed."""

    def __init__(self) -> None:
        self.figures: list[MarginFigures] = []

    @property
    def last(self) -> MarginFigures | None:
        return self.figures[-1] if self.figures else None


def desk_of(bench: Bench, told: Told, **terms: Any) -> MarginDesk:
    """A desk for the bench's account."""
    made = MarginDesk(bench.link, LIBRARY, replace(ASKING, **terms), told.figures.append, bench.broker)
    made.contract = pinned(bench.gateway)
    return made


@asynccontextmanager
async def at_work(desk: MarginDesk) -> AsyncIterator[None]:
    """Its task, until the block ends."""
    task = asyncio.ensure_future(desk.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def a_period(initial: int, maintenance: int, available: int, excess: int) -> MarginPeriod:
    """Figures in dollars."""
    return MarginPeriod(
        available_cents=available * 100,
        excess_cents=excess * 100,
        initial_cents=initial * 100,
        maintenance_cents=maintenance * 100,
    )


async def test_a_flat_account_is_told_what_one_contract_needs(tmp_path: Path) -> None:
    """What-if margin and free funds; nothing of the question is left at the exchange."""
    told = Told()
    async with trading(tmp_path) as bench:
        desk = desk_of(bench, told)
        await soon(desk.sync())
        day = a_period(20_000, 18_000, 100_000, 100_000)
        assert told.figures == [MarginFigures(day=day, overnight=day)] == [desk.figures]
        assert bench.gateway.exchange.book.everything == []
        assert bench.watcher.unfilled == []


@pytest.mark.parametrize("is_long", [True, False])
async def test_with_a_position_the_night_is_what_the_broker_says_is_ahead(tmp_path: Path, is_long: bool) -> None:
    """The night's margin is three times the day's; to the position's side, one more needs what one needs."""
    told = Told()
    account = replace(GATEWAY.account, night_factor=3, commission_cents=0)
    async with trading(tmp_path, gateway={"account": account}) as bench:
        desk = desk_of(bench, told)
        bench.gateway.exchange.trade_by_hand(1 if is_long else -1)
        await bench.until(lambda: bench.broker.held_qty or bench.broker._room.ask("the test has traded"))
        await soon(desk.sync())
        assert told.last is not None
        assert told.last.day == a_period(20_000, 18_000, 80_000, 82_000)
        assert told.last.overnight == a_period(60_000, 54_000, 40_000, 46_000)
        bench.gateway.exchange.trade_by_hand(-1 if is_long else 1)
        await soon(desk.sync())
        assert told.last.overnight == a_period(60_000, 54_000, 100_000, 100_000)


async def test_somebody_elses_position_does_not_make_an_entry_free(tmp_path: Path) -> None:
    """It is left alone, and an entry against it would set margin free: that is nothing that an entry may count on."""
    told = Told()
    async with trading(tmp_path, policy=ForeignPolicy.IGNORE) as bench:
        desk = desk_of(bench, told)
        bench.gateway.exchange.trade_by_hand(-2)
        await soon(desk.sync())
        assert (bench.broker.held_qty, told.figures[-1].day.initial_cents) == (0, 20_000 * 100)


async def test_nothing_is_asked_while_another_process_has_the_account(tmp_path: Path) -> None:
    """What is asked by an order's message is not asked either."""
    told = Told()
    async with trading(tmp_path) as bench:
        heard: list[int] = []
        bench.gateway.server.gate = lambda session, number, fields: not heard.append(number)
        bench.broker.heed(lambda: "KILL is there")
        with pytest.raises(LinkError, match="KILL is there"):
            await desk_of(bench, told)._ask()
        await bench.broker.rest()
        assert (Request.PLACE_ORDER in heard, told.figures) == (False, [])


async def test_a_fill_asks_again(tmp_path: Path) -> None:
    """What is available is less by then."""
    told = Told()
    async with trading(tmp_path) as bench:
        desk = desk_of(bench, told)
        async with at_work(desk):
            desk.ask_soon()
            await until(lambda: told.last)
            await bench.enter()
            desk.ask_soon()
            await until(lambda: len(told.figures) == 2)
            assert told.last is not None
            assert told.last.day.available_cents == 7_999_275  # a contract's margin, a commission and a tick


async def test_it_asks_again_after_a_while(tmp_path: Path) -> None:
    """Without a fill."""
    told = Told()
    async with trading(tmp_path) as bench, at_work(desk_of(bench, told, every_s=0.01)):
        await until(lambda: len(told.figures) >= 3)


@pytest.mark.parametrize("message", [OPEN_ORDER, SUMMARY_END])
async def test_figures_that_the_broker_does_not_renew_are_unknown_after_their_time(
    tmp_path: Path, message: int
) -> None:
    """It does not answer any more; once it does they are known again."""
    told = Told()
    async with (
        trading(tmp_path, link={"request_timeout_s": 0.05}) as bench,
        at_work(desk_of(bench, told, every_s=0.01, age_s=0.15)),
    ):
        await until(lambda: told.last)
        bench.gateway.server.tap = deaf_to(message)
        await until(lambda: told.last == UNKNOWN)
        bench.gateway.server.tap = None
        await until(lambda: told.last != UNKNOWN)
        assert told.figures.count(UNKNOWN) == 1


async def test_what_the_broker_refuses_to_say_is_unknown_and_holds_nobody_up(tmp_path: Path) -> None:
    """The account does not carry the contract: the what-if order is refused by 201, and the link is in step."""
    told = Told()
    account = replace(GATEWAY.account, start_cents=1_000_000)
    async with trading(tmp_path, gateway={"account": account}) as bench:
        desk = desk_of(bench, told)
        with pytest.raises(RefusedError):
            await desk._ask()
        await soon(desk.sync())
        assert (told.figures, desk.figures) == ([], UNKNOWN)


async def test_the_question_has_a_number_that_no_order_has_had(tmp_path: Path) -> None:
    """The broker offers the numbers of the working bracket again: a what-if under one of them would change that."""
    told = Told()
    async with trading(tmp_path, Fault(do=Verb.ROLL_BACK_IDS, bar=0, ids=40)) as bench:
        await bench.enter()
        stop = bench.working[-1]
        bench.gateway.step()
        reset(bench.gateway)
        await bench.until(lambda: not bench.link.is_up)
        await soon(bench.link.wait_up())
        await soon(desk_of(bench, told).sync())
        assert told.figures
        assert (stop.is_working, len(bench.gateway.exchange.book.everything)) == (True, 3)


async def test_a_question_counts_as_no_order_in_lockstep_nor_for_faults(tmp_path: Path) -> None:
    """The gateway's count of orders stands still, and the first order to be refused is the entry."""
    told = Told()
    async with trading(tmp_path, Fault(do=Verb.REJECT, nth=1, code=201)) as bench:
        heard = sum(bench.gateway.orders.heard.values())
        await soon(desk_of(bench, told).sync())
        assert sum(bench.gateway.orders.heard.values()) == heard
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.unfilled)


async def test_an_order_that_is_meant_never_leaves_as_a_question(tmp_path: Path) -> None:
    """Nothing but the flag keeps the broker from filling it."""
    async with trading(tmp_path) as bench:
        placed: list[int] = []
        note_orders(bench.gateway, placed)
        order = LIBRARY.order(action="BUY", totalQuantity=1, orderType="MKT", account=ACCOUNT)
        with pytest.raises(InvariantError):
            margin._what_if(bench.link.ib, LIBRARY.contract(), order)
        await bench.broker.rest()
        assert placed == []


def note_orders(gateway: Gateway, placed: list[int]) -> None:
    """Keep every order message that comes."""
    before = gateway.orders._place

    def noted(session: Any, fields: list[str]) -> None:
        placed.append(1)
        before(session, fields)

    gateway.server.serve({Request.PLACE_ORDER: noted})
