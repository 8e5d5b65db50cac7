"""What the feed hands out is what the exchange has, once and in order, whatever the stream does."""

from feed_builders import feeding, front_bars, told
from gateway_builders import running

WAVES = [(8_000.0 + i, 8_010.0 + i, 7_995.0, 8_004.0 + i) for i in range(12)]


async def test_each_bar_is_handed_out_once_the_next_has_begun() -> None:
    """Twelve bars are played, and eleven have closed."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        for _ in range(12):
            gateway.step()
        assert await desk.have(11) == told(columns, 20, 31)
