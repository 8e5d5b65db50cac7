"""A position is closed at the broker without a daemon: real client, loopback gateway."""

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest
from gateway_builders import bracket, client_of, running, until

from trader.adapters.ib.facts import OPERATOR_REF
from trader.adapters.ib.flatten_tool import Flattening, FlattenTerms
from trader.adapters.ib.library import load_library
from trader.adapters.ib.wire import WireTerms
from trader.domain.instruments import instrument
from trader.errors import AccessError, LinkError
from trader.gateway.gateway import Gateway
from trader.gateway.intake import Refusal
from trader.gateway.layouts import Message
from trader.gateway.ports import NoQuirks
from trader.gateway.wire import encode

ACCOUNT = "DU1234567"
LIBRARY = load_library(os.environ.get("IB_LIBRARY", "auto"))


def some_terms(port: int, account: str = ACCOUNT, client_ids: tuple[int, ...] = (18, 19)) -> FlattenTerms:
    """Terms for tests, in tenths of a second."""
    return FlattenTerms(
        wire=WireTerms(host="127.0.0.1", port=port, connect_timeout_s=2.0, request_timeout_s=2.0),
        client_ids=client_ids,
        account=account,
        fill_timeout_s=0.3,
        poll_s=0.02,
        rounds=4,
    )


async def flattened(port: int, **terms: Any) -> tuple[bool, list[str]]:
    """Whether all is gone, and what was said."""
    said: list[str] = []
    is_flat = await Flattening(LIBRARY, instrument("NQ"), some_terms(port, **terms), said.append).run()
    return is_flat, said


async def enter(gateway: Gateway, qty: int = 1) -> None:
    """A daemon's bracket that has filled; the daemon is gone."""
    async with client_of(gateway) as ib:
        trades = bracket(ib, "BUY", qty, 7_900.0, 8_300.0, "NQ-7")
        await until(lambda: trades[0].orderStatus.status == "Filled", ib)


def working(gateway: Gateway) -> list[str]:
    """The kinds of the orders that work."""
    return sorted(each.kind.value for each in gateway.exchange.book.working())


def position(gateway: Gateway) -> int:
    """What is held, signed."""
    return gateway.account.qty(gateway.market.front)


def closes(gateway: Gateway) -> list[tuple[str, int]]:
    """The executions of the command's own orders."""
    return [(each.side, each.qty) for each in gateway.exchange.executions if each.order_ref == OPERATOR_REF]


async def test_position_is_closed_then_all_orders_are_cancelled_and_it_is_proved() -> None:
    """The stop stays until the close has filled."""
    async with running() as gateway:
        await enter(gateway)
        assert (position(gateway), working(gateway)) == (1, ["LMT", "STP"])
        is_flat, said = await flattened(gateway.port)

        assert is_flat
        assert (position(gateway), working(gateway), closes(gateway)) == (0, [], [("SLD", 1)])
        assert said[-1] == "flat: no NQ position and no orders at the broker"
        assert [line.split(":")[0].split(" (")[0] for line in said[1:]] == [
            "position +1 NQH0", "the close has filled", "cancelling all orders of the account", "flat",
        ]  # fmt: skip


async def test_stop_that_fills_at_the_same_moment_is_closed_again() -> None:
    """One long becomes one short by two sells, and then nothing by a buy."""
    async with running() as gateway:
        await enter(gateway)
        gateway.server.tap = once(is_own_fill, lambda: fill_stop(gateway))
        is_flat, _ = await flattened(gateway.port)

        assert is_flat
        assert (position(gateway), working(gateway), closes(gateway)) == (0, [], [("SLD", 1), ("BOT", 1)])


async def test_stop_that_fills_before_the_close_arrives_is_closed_again() -> None:
    """The position was read, and is another one when the order comes."""
    async with running() as gateway:
        await enter(gateway)
        gateway.server.tap = once(is_contract, lambda: fill_stop(gateway))
        is_flat, _ = await flattened(gateway.port)

        assert is_flat
        assert (position(gateway), working(gateway), closes(gateway)) == (0, [], [("SLD", 1), ("BOT", 1)])


async def test_orders_without_a_position_are_cancelled() -> None:
    """An entry that waits is one of them."""
    async with running() as gateway:
        gateway.exchange.fills_at_once = False
        async with client_of(gateway) as ib:
            trades = bracket(ib, "BUY", 1, 7_900.0, 8_300.0, "NQ-7")
            await until(lambda: trades[2].orderStatus.status == "PreSubmitted", ib)
        assert working(gateway) == ["LMT", "MKT", "STP"]
        is_flat, _ = await flattened(gateway.port)

        assert is_flat
        assert (working(gateway), closes(gateway)) == ([], [])


async def test_nothing_open_is_flat_at_once_and_sends_nothing() -> None:
    """Also when it is asked twice."""
    async with running() as gateway:
        for _ in range(2):
            assert await flattened(gateway.port) == (
                True,
                [
                    f"connected to 127.0.0.1:{gateway.port} as client 18",
                    "flat: no NQ position and no orders at the broker",
                ],
            )
        assert gateway.exchange.executions == []


async def test_close_that_fills_in_parts_goes_on_with_what_is_left() -> None:
    """What did not fill in time is taken back before more is sent."""

    class Parts(NoQuirks):
        def portions(self, qty: int) -> list[int]:
            return [1, qty - 1] if self.armed and qty == 3 else []

        armed = False

    parts = Parts()
    async with running(quirks=parts) as gateway:
        await enter(gateway, qty=3)
        parts.armed = True
        is_flat, said = await flattened(gateway.port)

        assert is_flat
        assert (position(gateway), working(gateway), closes(gateway)) == (0, [], [("SLD", 1), ("SLD", 2)])
        assert "2 of 3 have not filled in 0.3 s: is the market closed?" in said


async def test_close_that_never_fills_is_taken_back_and_the_stop_stays() -> None:
    """A closed market must not open into two orders that both sell."""
    async with running() as gateway:
        await enter(gateway)
        gateway.exchange.fills_at_once = False
        is_flat, said = await flattened(gateway.port)

        assert not is_flat
        assert (position(gateway), working(gateway), closes(gateway)) == (1, ["LMT", "STP"], [])
        assert said[-1].startswith("the broker still tells of +1 NQH0")


async def test_close_that_is_refused_leaves_the_stop_and_says_why() -> None:
    """In the broker's words, the account number only in part."""

    class Refusing(NoQuirks):
        armed = False

        def refusal(self) -> Refusal | None:
            return Refusal(201, f"Order rejected - reason:account {ACCOUNT} is in liquidation") if self.armed else None

    refusing = Refusing()
    async with running(quirks=refusing) as gateway:
        await enter(gateway)
        refusing.armed = True
        is_flat, said = await flattened(gateway.port)

        assert not is_flat
        assert (position(gateway), working(gateway)) == (1, ["LMT", "STP"])
        assert "the broker says 201: Order rejected - reason:account DU*****67 is in liquidation" in said
        assert not any("have not filled" in line for line in said)


async def test_somebody_who_trades_against_it_is_named_after_some_rounds() -> None:
    """It does not fight for ever."""
    async with running() as gateway:
        gateway.exchange.trade_by_hand(1)
        by_hand = itertools.cycle((2, 1))
        gateway.server.tap = always(is_own_fill, lambda: gateway.exchange.trade_by_hand(next(by_hand)))
        is_flat, said = await flattened(gateway.port)

        assert not is_flat
        assert len(closes(gateway)) == 4
        assert said[-1] == "not flat after 4 rounds: somebody else trades this account; look at it there"


async def test_client_id_in_use_gives_way_to_the_next() -> None:
    """The daemon itself may have taken the fallback id."""
    async with running() as gateway:
        await enter(gateway)
        gateway.server.held_ids.add(18)
        is_flat, said = await flattened(gateway.port)
        assert is_flat
        assert said[:2] == ["client id 18 is in use", f"connected to 127.0.0.1:{gateway.port} as client 19"]
        gateway.server.held_ids.add(19)
        with pytest.raises(LinkError, match="client ids 18 to 19 are all in use"):
            await flattened(gateway.port)


async def test_wrong_account_sends_nothing() -> None:
    """Neither number is shown whole."""
    async with running() as gateway:
        await enter(gateway)
        with pytest.raises(AccessError, match=r"logged in to DU\*\*\*\*\*67, and DU\*\*\*\*\*21 is to be closed"):
            await flattened(gateway.port, account="DU7654321")
        assert (position(gateway), closes(gateway)) == (1, [])


async def test_gateway_that_is_away_or_goes_away_is_said_so() -> None:
    """75: trying again may help."""
    async with running() as gateway:
        await enter(gateway)
        gateway.server.tap = once(is_contract, lambda: [each.reset() for each in gateway.server.sessions])
        with pytest.raises(LinkError) as caught:
            await flattened(gateway.port)
        assert caught.value.exit_code == 75
        port = gateway.port
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
        await flattened(port)


async def test_connection_that_ends_while_the_close_works_is_said_at_once() -> None:
    """Not only when the time for it is over."""
    async with running() as gateway:
        await enter(gateway)
        gateway.exchange.fills_at_once = False
        gateway.server.tap = once(is_own_order, lambda: [each.reset() for each in gateway.server.sessions])
        said: list[str] = []
        with pytest.raises(LinkError, match="closed at the other end"):
            await Flattening(LIBRARY, instrument("NQ"), some_terms(gateway.port), said.append).run()
        assert said[-1] == "position +1 NQH0: SELL 1 at market sent"


async def test_position_that_is_told_late_is_not_closed_twice() -> None:
    """The fill was told, the position still says what it was."""
    async with running() as gateway:
        await enter(gateway)
        before: list[bytes] = []
        seen: set[str] = set()

        def tap(session: Any, fields: Any, frame: bytes) -> None:
            if fields[0] == Message.POSITION and not before:
                before.append(frame)
            if is_own_fill(fields):
                seen.add("fill")
            if fields[0] == Message.POSITION_END and seen == {"fill"}:
                seen.add("told late")
                session.write(before[0])
            session.write(frame)

        gateway.server.tap = tap
        is_flat, _ = await flattened(gateway.port)
        assert is_flat
        assert seen == {"fill", "told late"}
        assert closes(gateway) == [("SLD", 1)]


async def test_position_of_another_account_of_the_same_login_is_left_alone() -> None:
    """An advisor's login tells of all its accounts."""
    async with running() as gateway:
        gateway.exchange.trade_by_hand(1)

        def tap(session: Any, fields: Any, frame: bytes) -> None:
            session.write(encode([*fields[:2], "DU7654321", *fields[3:]]) if fields[0] == Message.POSITION else frame)

        gateway.server.tap = tap
        is_flat, _ = await flattened(gateway.port)
        assert is_flat
        assert (position(gateway), closes(gateway)) == (1, [])


async def test_position_in_another_month_is_closed_in_that_month() -> None:
    """Whatever the daemon was pinned to; the gateway has no market in it, so the order is taken back again."""
    async with running() as gateway:
        other = gateway.market.contracts.of_code("NQM20")
        gateway.account.book(other, -2, 32_000)
        is_flat, said = await flattened(gateway.port)
        assert not is_flat
        assert said[1] == "position -2 NQM0: BUY 2 at market sent"
        assert "the close was taken back" in said


def is_own_fill(fields: Any) -> bool:
    """An execution of the command's."""
    return fields[0] == Message.EXECUTION and OPERATOR_REF in map(str, fields)


def is_own_order(fields: Any) -> bool:
    """An order of the command's, as it is echoed."""
    return fields[0] == Message.OPEN_ORDER and OPERATOR_REF in map(str, fields)


def is_contract(fields: Any) -> bool:
    """The answer to what comes right before a close."""
    return fields[0] == Message.CONTRACT_DETAILS


def fill_stop(gateway: Gateway) -> None:
    """The stop fills now."""
    (stop,) = [each for each in gateway.exchange.book.working() if each.kind.value == "STP"]
    gateway.exchange.matcher.fill_at_last(stop)


def always(wanted: Callable[[Any], bool], does: Callable[[], Any]) -> Callable[..., None]:
    """A tap that does something after each such frame."""

    def tap(session: Any, fields: Any, frame: bytes) -> None:
        session.write(frame)
        if wanted(fields):
            does()

    return tap


def once(wanted: Callable[[Any], bool], does: Callable[[], Any]) -> Callable[..., None]:
    """A tap that does it after the first such frame."""
    left = [does]

    def first(fields: Any) -> bool:
        return bool(left) and wanted(fields)

    def do() -> None:
        left.pop()()

    return always(first, do)
