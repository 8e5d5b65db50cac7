"""The link to a gateway on loopback, with the real client: up, down, and up again."""

import asyncio
import random

import pytest
from gateway_builders import nq, running
from ib_builders import ACCOUNT, LIBRARY, Told, hook_of, linked, reset, silent_port, some_terms, soon, until

from trader.adapters.ib.link import Link, LinkState
from trader.errors import AccessError, LinkError, RefusedError
from trader.gateway.account import AccountTerms
from trader.gateway.gateway import Gateway


async def test_the_link_is_up_when_all_hooks_have_returned() -> None:
    """In the order in which they came, and while the link is not up."""
    seen: list[object] = []

    def add(link: Link) -> None:
        hook_of(seen, lambda link: ("first", link.state))(link)
        hook_of(seen, lambda link: ("second", link.is_up))(link)

    async with running() as gateway, linked(gateway, before=add) as link:
        assert seen == [("first", LinkState.SYNCING), ("second", False)]
        assert (link.state, link.is_up, link.may_trade) == (LinkState.UP, True, True)
        assert await soon(link.probe()) == gateway.market.now_ns


async def test_a_cut_connection_is_made_again_with_a_new_client_and_its_hooks() -> None:
    """It is down at once for whoever asks, and said once."""
    seen: list[object] = []
    async with running() as gateway, linked(gateway, before=hook_of(seen, lambda link: link.ib)) as link:
        lost: list[tuple[str, bool]] = []
        link.on_lost(lambda why: lost.append((why, link.is_up)))
        reset(gateway)
        await until(lambda: lost)
        await soon(link.wait_up())
        assert len(seen) == 2
        assert seen[0] is not seen[1]
        assert link.ib is seen[1]
        assert [is_up for _, is_up in lost] == [False]


async def test_a_hook_that_fails_is_tried_again_on_the_same_connection() -> None:
    """It is not up until one has worked."""
    seen: list[object] = []

    def fails_twice(link: Link) -> object:
        if len(seen) < 2:
            seen.append(link.ib)
            raise LinkError("partial")  # noqa: EM101 -- as short as it can be
        return link.ib

    async with running() as gateway, linked(gateway, before=hook_of(seen, fails_twice)) as link:
        assert link.is_up
        assert [each is link.ib for each in seen] == [True, True, True]


async def test_hooks_that_keep_failing_get_a_new_connection() -> None:
    """After as many tries as the terms say."""
    seen: list[object] = []

    def fails_thrice(link: Link) -> object:
        if len(seen) < 3:
            seen.append(link.ib)
            raise LinkError("partial")  # noqa: EM101
        return link.ib

    async with running() as gateway, linked(gateway, before=hook_of(seen, fails_thrice), sync_tries=3) as link:
        assert [each is link.ib for each in seen] == [False, False, False, True]


async def test_a_hook_that_hangs_does_not_hang_the_link() -> None:
    """It is cut off after `sync_timeout_s`, and tried again."""
    tries: list[int] = []

    def add(link: Link) -> None:
        async def hook() -> None:
            tries.append(1)
            if len(tries) == 1:
                await asyncio.Event().wait()

        link.on_sync(hook)

    async with running() as gateway, linked(gateway, before=add, sync_timeout_s=0.05) as link:
        assert (link.is_up, len(tries)) == (True, 2)


async def test_what_a_listener_raises_ends_the_link_and_is_not_forgotten() -> None:
    """The library would log it and go on."""

    def breaks(request: int, code: int, text: str) -> None:
        raise ZeroDivisionError

    async def cancel_nothing(gateway: Gateway) -> None:
        async with linked(gateway, before=lambda link: link.on_error(breaks)) as link:
            link.ib.client.cancelOrder(4711)
            await asyncio.Event().wait()

    async with running() as gateway:
        with pytest.raises(ZeroDivisionError):
            await cancel_nothing(gateway)


async def test_a_refused_request_says_the_brokers_code() -> None:
    """The library alone answers it by an empty list."""
    async with running() as gateway, linked(gateway) as link:
        unknown = LIBRARY.future("ZZ", "203012", "CME")
        with pytest.raises(RefusedError, match="contracts: the broker says 200: ") as caught:
            await link.ask("contracts", link.ib.reqContractDetailsAsync(unknown))
        assert caught.value.code == 200
        assert link.is_up


async def test_a_question_without_an_answer_ends_in_time() -> None:
    """And the link stays."""
    async with running() as gateway, linked(gateway) as link:
        with pytest.raises(LinkError, match=r"no answer to the question for nothing in 0\.01 s$"):
            await link.ask("nothing", asyncio.Event().wait(), 0.01)
        assert link.is_up


async def test_a_question_ends_at_once_when_the_connection_goes() -> None:
    """Not after its timeout; the library leaves some of them waiting for ever."""
    async with running() as gateway, linked(gateway, backoff_first_s=60.0, backoff_max_s=60.0) as link:
        gateway.server.tap = lambda session, fields, frame: None
        question = asyncio.ensure_future(link.ask("the time", link.ib.reqCurrentTimeAsync(), 3_600.0))
        await asyncio.sleep(0)
        reset(gateway)
        with pytest.raises(LinkError, match="closed"):
            await soon(question)
        with pytest.raises(LinkError):
            _ = link.ib


async def test_errors_are_told_with_their_request() -> None:
    """A cancel of nothing: its order's id and 10147."""
    told: list[tuple[int, int]] = []
    async with running() as gateway, linked(gateway) as link:
        link.on_error(lambda request, code, text: told.append((request, code)))
        link.ib.client.cancelOrder(4711)
        await until(lambda: told)
        assert told == [(4711, 10_147)]


@pytest.mark.parametrize(
    ("managed", "account", "is_live", "why"),
    [
        ("DU7654321", ACCOUNT, False, r"account DU\*{5}67 is not among those of this login \(DU\*{5}21\)"),
        ("U7654321", "U7654321", False, r"the mode is paper, and account U7\*{4}21 is a live one"),
        (ACCOUNT, ACCOUNT, True, r"the mode is live, and this login is a paper one \(DU\*{5}67\)"),
    ],
)
async def test_a_login_that_is_not_the_configured_one_ends_the_link(
    managed: str, account: str, is_live: bool, why: str
) -> None:
    """Trying again would not mend it. Numbers are masked."""
    figures = AccountTerms(
        name=managed, start_cents=1, initial_margin_cents=1, maintenance_margin_cents=1, commission_cents=1
    )
    synced: list[object] = []
    async with running(account=figures) as gateway:
        terms = some_terms(gateway.port, account=account, is_live=is_live, connect_timeout_s=0.1)
        link = Link(terms, LIBRARY, Told(), random.Random(1))
        hook_of(synced, lambda link: link.state)(link)
        with pytest.raises(AccessError, match=why) as caught:
            await soon(link.run())
        assert managed not in str(caught.value)
        assert synced == []
        await until(lambda: not list(gateway.server.sessions))


async def test_a_closed_link_lets_go_and_its_task_returns() -> None:
    """Up or still trying."""
    async with running() as gateway, linked(gateway) as link:
        link.close()
        await until(lambda: not list(gateway.server.sessions))
    with silent_port() as port:
        async with linked(port, waits=False, connect_timeout_s=60.0) as link:
            await until(lambda: link.state is LinkState.CONNECTING)
            await asyncio.sleep(0.01)


async def test_orders_and_bars_go_over_the_links_client() -> None:
    """It is the library's own."""
    async with running() as gateway, linked(gateway) as link:
        trade = link.ib.placeOrder(nq(), LIBRARY.market_order("BUY", 1, orderRef="d1"))
        await until(lambda: trade.fills)
        assert trade.fills[0].execution.orderRef == "d1"
