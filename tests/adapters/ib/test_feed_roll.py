"""The month changes by the rule, when nothing is held, and the first bar of the new one has the offset."""

from feed_builders import feeding
from gateway_builders import running
from ib_builders import until
from two_months import BOTH_MINUTES, NEW_OPENS_NS, OFFSET, OLD_CLOSES_NS, OLD_MINUTES, two_months

from trader.adapters.ib.feed import IbFeed
from trader.domain.units import MINUTE_NS

FIRST = 2 * BOTH_MINUTES


async def test_the_month_changes_after_the_old_ones_last_session() -> None:
    """At the close, by the clock; the new month's bars follow with the offset of the last minute with both."""
    columns = two_months()
    rolls: list[tuple[str, float]] = []

    def equip(feed: IbFeed) -> None:
        feed.closed.is_flat = lambda: True
        feed.closed.on_roll = lambda new, offset: rolls.append((new.symbol, offset))

    async with running(columns, history_bars=FIRST) as gateway, feeding(gateway, before=equip) as desk:
        assert desk.feed.pinned.symbol == "NQZ19"
        for _ in range(OLD_MINUTES):
            assert not rolls
            gateway.step()
        await desk.have(OLD_MINUTES)
        await until(lambda: rolls)
        assert rolls == [("NQH20", OFFSET)]
        for _ in range(3):
            gateway.step()
        bars = await desk.have(OLD_MINUTES + 2)
        assert [bar.symbol for bar in bars] == ["NQZ19"] * OLD_MINUTES + ["NQH20"] * 2
        assert [bar.roll_offset for bar in bars] == [0.0] * OLD_MINUTES + [OFFSET, 0.0]
        assert bars[OLD_MINUTES].ts_open_ns == NEW_OPENS_NS


async def test_the_month_stays_while_a_position_is_held_and_changes_once_it_is_gone() -> None:
    """What the new month has done meanwhile is asked for."""
    columns = two_months()
    held = [True]

    def equip(feed: IbFeed) -> None:
        feed.closed.is_flat = lambda: not held[0]

    async with running(columns, history_bars=FIRST) as gateway, feeding(gateway, before=equip) as desk:
        for _ in range(OLD_MINUTES + 3):
            gateway.step()
        await desk.have(OLD_MINUTES)
        assert gateway.market.now_ns >= OLD_CLOSES_NS
        for _ in range(10):  # time for all that a roll would ask for
            await desk.link.probe()
        assert desk.feed.pinned.symbol == "NQZ19"
        held[0] = False
        await until(lambda: desk.feed.pinned.symbol == "NQH20")
        gateway.step()
        bars = await desk.have(OLD_MINUTES + 3)
        assert [bar.ts_open_ns - NEW_OPENS_NS for bar in bars[OLD_MINUTES:]] == [0, MINUTE_NS, 2 * MINUTE_NS]
        assert bars[OLD_MINUTES].roll_offset == OFFSET


async def test_in_lockstep_the_new_months_first_bar_closes_the_old_ones_last() -> None:
    """No clock says so; who trades is told of the new month's open before the bar that comes next."""
    columns = two_months()
    seen: list[float] = []

    def equip(feed: IbFeed) -> None:
        async def between() -> None:
            desk.gateway.step()

        feed.on_forming = lambda _, price: seen.append(price)
        feed.between = between
        feed.begin_after(OLD_CLOSES_NS - OLD_MINUTES * MINUTE_NS)

    async with (
        running(columns, history_bars=FIRST) as gateway,
        feeding(gateway, before=equip, lockstep=True, grace_s=0.0, quotes=False) as desk,
    ):
        gateway.step()
        gateway.step()
        bars = await desk.have(OLD_MINUTES + 3)
        assert [bar.symbol for bar in bars] == ["NQZ19"] * OLD_MINUTES + ["NQH20"] * 3
        assert [bar.roll_offset for bar in bars] == [0.0] * OLD_MINUTES + [OFFSET, 0.0, 0.0]
        assert bars[OLD_MINUTES].ts_open_ns == NEW_OPENS_NS
        assert seen[OLD_MINUTES - 2 : OLD_MINUTES + 1] == [8_424.0, 8_450.0, 8_451.0]
