"""What the client library gets wrong about connections, item by item, and what the link makes of it."""

from gateway_builders import bracket, nq, running, some_bars
from ib_builders import Told, hook_of, linked, relinked, reset, soon, until

from trader.adapters.ib.link import LinkState
from trader.domain.alerts import AlertKind
from trader.gateway.faults import Fault, Verb
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import error
from trader.gateway.mischief import OrderMischief, play_faults
from trader.gateway.session import Session

OPEN_ORDER_END, POSITION_END = 53, 62
MOVE = (8_000.0, 8_010.0, 7_995.0, 8_004.0)


def tell(gateway: Gateway, code: int) -> None:
    """An error that concerns no request, to everybody."""
    for session in gateway.server.sessions:
        session.send(error(-1, code, f"text of {code}"))


async def test_orders_of_a_lost_connection_are_frozen_and_the_new_client_has_its_own() -> None:
    """The old object says Submitted for ever, though the broker has filled."""
    async with running(some_bars(MOVE)) as gateway, linked(gateway) as link:
        _, _, stop = bracket(link.ib, "BUY", 1, stop=7_996.0, target=8_040.0)
        await until(lambda: stop.order.permId)
        old = stop.orderStatus.status
        await relinked(link, lambda: (reset(gateway), gateway.step()))
        assert (stop.orderStatus.status, stop.fills) == (old, [])
        assert sorted(fill.execution.orderRef for fill in link.ib.fills()) == ["d1", "d1"]
        assert list(link.ib.openTrades()) == []


async def test_bar_subscriptions_of_a_lost_connection_are_dead_and_the_hook_makes_new_ones() -> None:
    """The old list never moves again."""
    lists = []
    async with running(some_bars(MOVE)) as gateway:

        async def subscribe() -> None:
            request = link.ib.reqHistoricalDataAsync(
                nq(), "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
            )
            lists.append(await link.ask("bars", request))

        async with linked(gateway, waits=False, before=lambda it: it.on_sync(subscribe)) as link:
            await soon(link.wait_up())
            await relinked(link, lambda: reset(gateway))
            gateway.step()
            await until(lambda: lists[1][-1].close == MOVE[3])
            assert lists[0][-1].close == 8_000.0


async def test_order_ids_that_roll_back_do_not_stop_the_link_and_working_orders_keep_theirs() -> None:
    """What the broker calls next was used before; the ids of orders that still work are not given again."""
    async with running() as gateway, linked(gateway) as link:
        trades = bracket(link.ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: all(trade.order.permId for trade in trades))
        used = [trade.order.orderId for trade in trades]
        gateway.ids.roll_back(len(used))
        await relinked(link, lambda: reset(gateway))
        assert {trade.order.permId for trade in link.ib.openTrades()} == {trade.order.permId for trade in trades[1:]}
        assert link.ib.client.getReqId() > max(used)


async def test_an_open_order_end_that_never_comes_keeps_the_link_from_coming_up() -> None:
    """The library says connected, and knows no orders."""
    seen: list[object] = []
    for message in (OPEN_ORDER_END, POSITION_END):
        async with running() as gateway:
            gateway.server.tap = lambda session, fields, frame, lost=message: (
                None if fields[0] == lost else session.write(frame_of(2_104) + frame)
            )
            hook = hook_of(seen, lambda link: link.state)
            async with linked(
                gateway, waits=False, before=hook, connect_timeout_s=0.05, request_timeout_s=0.05
            ) as link:
                await until(lambda: "no answer to the question for" in link.why and "2104" not in link.why)
                assert seen == []
                gateway.server.tap = None
                await soon(link.wait_up())
                assert len(seen) == 1
                seen.clear()


async def test_a_peer_that_stops_reading_is_given_up_after_two_probes() -> None:
    """The library believes that it is connected."""
    async with running() as gateway, linked(gateway, probe_every_s=0.05) as link:
        ib, believed = link.ib, []
        link.on_lost(lambda why: believed.append(ib.client.conn.transport is not None))
        link.on_lost(lambda why: reset(gateway))  # or the broker's side would keep the client id
        why = await relinked(link, lambda: [session.fall_silent() for session in gateway.server.sessions])
        assert why.startswith("no answer to 2 probes; last bytes 0.")
        assert believed == [True]
        assert link.ib is not ib


async def test_fills_inside_an_1100_window_are_heard_and_a_resync_comes_before_up() -> None:
    """Callbacks are the library's own and never switched off; 1102 runs the hooks."""
    seen: list[object] = []
    faults = OrderMischief([Fault(do=Verb.OUTAGE, bar=0, tells=True)], 1)
    async with running(some_bars(MOVE), faults) as gateway:
        play_faults(gateway, faults)
        async with linked(gateway, before=hook_of(seen, lambda link: link.state)) as link:
            _, _, stop = bracket(link.ib, "BUY", 1, stop=7_996.0, target=8_040.0)
            await until(lambda: stop.order.permId)
            lost: list[LinkState] = []
            link.on_lost(lambda why: lost.append(link.state))
            gateway.step()
            await until(lambda: stop.fills)
            assert (link.state, link.is_up, lost, len(seen)) == (LinkState.LOST, False, [LinkState.LOST], 1)
            gateway.step()
            await soon(link.wait_up())
            assert seen == [LinkState.SYNCING, LinkState.SYNCING]


async def test_the_link_is_not_up_from_the_moment_at_which_1101_is_read() -> None:
    """Whoever hears the error sees a link that is not up."""
    for code, state in ((1_100, LinkState.LOST), (2_110, LinkState.LOST), (1_101, LinkState.SYNCING)):
        async with running() as gateway, linked(gateway) as link:
            seen: list[tuple[int, LinkState]] = []
            link.on_error(lambda request, code, text, seen=seen, link=link: seen.append((code, link.state)))
            tell(gateway, code)
            await until(lambda seen=seen: seen)
            assert seen == [(code, state)]


async def test_an_1100_that_never_ends_gets_a_new_connection() -> None:
    """After `lost_max_s`."""
    async with running() as gateway, linked(gateway, lost_max_s=0.05) as link:
        ib = link.ib
        assert "1100" in await relinked(link, lambda: tell(gateway, 1_100))
        assert link.ib is not ib


async def test_an_1100_while_hooks_run_keeps_the_link_from_coming_up() -> None:
    """What they have learned is from before."""
    states: list[LinkState] = []
    async with running() as gateway:

        async def hook() -> None:
            if not states:
                states.append(link.state)
                tell(gateway, 1_100)
                await link.probe()
            else:
                states.append(link.state)

        async with linked(gateway, waits=False, before=lambda it: it.on_sync(hook)) as link:
            await until(lambda: link.state is LinkState.LOST)
            tell(gateway, 1_102)
            await soon(link.wait_up())
            assert states == [LinkState.SYNCING, LinkState.SYNCING]


async def test_farms_that_are_down_concern_the_data_and_not_the_link() -> None:
    """2103 and 2105, and a competing session: told, and still up."""
    seen: list[object] = []
    async with running() as gateway, linked(gateway, before=hook_of(seen, lambda link: link.state)) as link:
        told: list[int] = []
        link.on_error(lambda request, code, text: told.append(code))
        for code in (2_103, 2_105, 10_197):
            tell(gateway, code)
        await until(lambda: len(told) == 3)
        await link.probe()
        assert (link.is_up, told, len(seen)) == (True, [2_103, 2_105, 10_197], 1)


async def test_a_port_that_moves_ends_the_connection_with_the_brokers_words() -> None:
    """1300."""
    async with running() as gateway, linked(gateway) as link:
        whys: list[str] = []
        link.on_lost(whys.append)
        tell(gateway, 1_300)
        await until(lambda: whys)
        assert whys == ["the broker says 1300: text of 1300"]


async def test_a_client_id_in_use_is_tried_again_until_the_old_session_has_died() -> None:
    """326."""
    told = Told()
    async with running() as gateway:
        gateway.server.held_ids.add(1)
        async with linked(gateway, told=told, waits=False, fallback_client_id=9, in_use_tries=1_000) as link:
            await until(lambda: "326" in link.why)
            gateway.server.held_ids.clear()
            await soon(link.wait_up())
            assert (link.may_trade, told.kinds) == (True, [])
            assert gateway.server.session_of(1) is not None


async def test_a_client_id_that_stays_in_use_gives_way_to_one_that_may_only_flatten() -> None:
    """A person is told; and when the own id is free again, it is taken back."""
    told = Told()
    async with running() as gateway:
        gateway.server.held_ids.add(1)
        async with linked(
            gateway, told=told, fallback_client_id=9, in_use_tries=3, connect_timeout_s=60.0, own_id_every_s=0.05
        ) as link:
            assert (link.is_up, link.may_trade, told.kinds[:1]) == (True, False, [AlertKind.LINK_LIMITED])
            assert gateway.server.session_of(9) is not None
            ib = link.ib
            await until(lambda: link.is_up and link.ib is not ib)
            assert link.may_trade is False
            gateway.server.held_ids.clear()
            await until(lambda: link.is_up and link.may_trade)
            assert gateway.server.session_of(1) is not None
            assert told.kinds == [AlertKind.LINK_LIMITED]


async def test_own_client_id_is_tried_again_when_the_fallbacks_is_in_use_too() -> None:
    """Two connections that are half dead: whichever id is free first is taken."""
    async with running() as gateway:
        gateway.server.held_ids.update((1, 9))
        refused: list[int] = []
        tell_326 = gateway.server.enter

        def entering(session: Session, client_id: int) -> bool:
            refused.append(client_id)
            return tell_326(session, client_id)

        gateway.server.enter = entering  # type: ignore[method-assign] # the order of the tries is what is asked for
        async with linked(gateway, waits=False, fallback_client_id=9, in_use_tries=2, connect_timeout_s=60.0) as link:
            await until(lambda: len(refused) >= 5)
            assert refused[:5] == [1, 1, 9, 1, 9]
            gateway.server.held_ids.discard(1)
            await soon(link.wait_up())
            assert link.may_trade


async def test_a_gateway_that_is_not_up_yet_is_tried_again() -> None:
    """502 and 504 while it starts."""
    for code in (502, 504):
        async with running() as gateway:
            gateway.server.tap = lambda session, fields, frame, code=code: session.write(
                frame_of(code) if fields[0] == 15 else frame
            )
            async with linked(gateway, waits=False, connect_timeout_s=60.0) as link:
                await until(lambda code=code, link=link: f"the broker says {code}" in link.why)
                gateway.server.tap = None
                await soon(link.wait_up())


def frame_of(code: int) -> bytes:
    """An error frame."""
    text = "".join(f"{field}\0" for field in (4, 2, -1, code, "not yet", "")).encode()
    return len(text).to_bytes(4, "big") + text


async def test_the_library_asks_nothing_of_its_own_after_1102() -> None:
    """It would ask for an account summary, in a task that nobody awaits."""
    seen: list[object] = []
    async with running() as gateway, linked(gateway, before=hook_of(seen, lambda link: link.state)) as link:
        asked = requests_of(gateway)
        tell(gateway, 1_102)
        await until(lambda: len(seen) == 2)
        await link.probe()
        assert "49" in asked
        assert "62" not in asked


async def test_the_answers_of_the_start_are_asked_for_once_more() -> None:
    """Open orders, positions and executions: what the library asked may have had no answer."""
    async with running() as gateway:
        asked = requests_of(gateway)
        async with linked(gateway):
            assert [asked.count(each) for each in ("5", "61", "7")] == [2, 2, 2]


def requests_of(gateway: Gateway) -> list[str]:
    """The numbers of the requests from now on."""
    asked: list[str] = []
    known = gateway.server.take

    def take(session: Session, fields: list[str]) -> None:
        asked.append(fields[0])
        known(session, fields)

    gateway.server.take = take  # type: ignore[method-assign]
    return asked
