"""A killed process leaves the whole state of some moment between two bars, and the next one goes on from it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from live_builders import ALONE, Life, bars, lived

SCRIPT = Path(__file__).with_name("kill_script.py")
SEED = 7
FIRST, LAST = 425, 480
STRIDE = 100


def test_run_killed_at_any_statement_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """The writer is some bars behind: those are lived again, and come to the same orders and fills, each once."""
    whole = Life(tmp_path / "whole", ALONE, seed=SEED)
    asyncio.run(whole.live(bars()[:FIRST]))
    begun = whole.killed(tmp_path / "begun")
    asyncio.run(whole.live(bars()[FIRST:LAST]))
    lines, kept = whole.lines(), lived(whole.end())

    root = tmp_path / "ends"
    root.mkdir()
    paths = os.pathsep.join(str(path) for path in (SCRIPT.parent, SCRIPT.parents[1], SCRIPT.parents[2]))
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), str(begun), str(root), str(FIRST), str(LAST), str(STRIDE)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr

    closes = [bar.ts_close_ns for bar in bars()]
    reached = set()
    for folder in sorted(root.glob("at-*")):
        life = Life(folder, ALONE, seed=SEED)
        after = closes.index(life.restored.ts_close_ns) + 1
        life.engine.warm_up(bars()[:after])
        asyncio.run(life.live(bars()[after:LAST]))
        assert life.lines() == lines[after:]
        assert lived(life.end()) == kept
        reached.add(after)
    assert len(reached) > 2
