"""In real time each bar is decided once, after its grace and before the next, on the features of a backtest."""

import asyncio
from pathlib import Path

from real_time_runs import backtest, faults, played

BARS, SPEED, GRACE_S = 15, 45.0, 0.1


async def test_the_daemon_keeps_time(tmp_path: Path) -> None:
    """Fifteen bars of 1.3 seconds each, warmed up from history; orders fill, and stops stand behind them."""
    replayed = asyncio.ensure_future(asyncio.to_thread(backtest, tmp_path))
    seen = await played(tmp_path, BARS, SPEED, GRACE_S)
    expected = await replayed
    assert faults(seen, expected, GRACE_S) == []
    first = seen.decided[0].record
    assert first.features.ready
    assert first.features.sha256 == expected[first.bar.open_utc].features.sha256
    assert sum(len(each.record.fills) for each in seen.decided) > 0
    assert seen.found.executions >= 1
    assert seen.found.is_clean
    assert seen.found.unprotected_s == 0
