"""The link to a real gateway on loopback, with the real client."""

from gateway_builders import running
from ib_builders import linked, soon, until

from trader.adapters.ib.link import LinkState


async def test_the_link_comes_up_when_all_hooks_have_returned() -> None:
    """In the order in which they came."""
    seen = []

    async def first() -> None:
        seen.append(("first", link.state))

    async def second() -> None:
        seen.append(("second", link.state))

    def hooks(it):
        nonlocal link
        link = it
        it.on_sync(first)
        it.on_sync(second)

    link = None
    async with running() as gateway, linked(gateway, before=hooks):
        assert seen == [("first", LinkState.SYNCING), ("second", LinkState.SYNCING)]
        assert (link.state, link.is_up, link.may_trade) == (LinkState.UP, True, True)
        assert await soon(link.probe()) == gateway.market.now_ns


async def test_a_cut_connection_is_made_again_with_a_new_client() -> None:
    """And the hooks run again."""
    async with running() as gateway, linked(gateway) as link:
        ib, lost = link.ib, []
        link.on_lost(lost.append)
        for session in gateway.server.sessions:
            session.reset()
        await until(lambda: lost)
        assert not link.is_up
        await soon(link.wait_up())
        assert link.ib is not ib
        assert len(lost) == 1
