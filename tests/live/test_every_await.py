"""A daemon that dies between any two of its steps, or inside one before a write, comes to the same end.

Real client, real sockets, the state from the disk; the gateway goes on meanwhile. The points are every await, every
statement of the state, every message to the broker and every line of the journal of a session of 300 bars: 35,000.
Here 300 of them are drawn, one in 117, each kind as often as the others: every kind of a bar, and every bar of the
session. After each second of these whoever was started dies at some point of its start as well. All of them are
`make campaign-awaits`, which one process plays in an hour or two.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "campaign_awaits.py"
DRAWS = ("draw:1@0", "draw:2@1", "draw:3@2")
DEATHS_MIN = 350


def test_daemon_that_dies_at_any_await_comes_to_the_same_end() -> None:
    """The same five trades at the same prices, the same cash, nothing sent twice, no alert, always a stop."""
    played = subprocess.run(
        [sys.executable, str(SCRIPT), *(part for name in DRAWS for part in ("--session", name))],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.match(r"3 sessions, (\d+) deaths, .* 0 failed", played.stdout)
    assert told is not None, played.stdout + played.stderr
    assert played.returncode == 0
    assert int(told[1]) > DEATHS_MIN
