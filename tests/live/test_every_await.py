"""A daemon that dies between any two of its steps, or inside a write of its state, comes to the same end.

Real client, real sockets, the state from the disk; the gateway goes on meanwhile. A death falls on another await each
time: some forty in each session of 300 bars.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("await_script.py")
ROOT = SCRIPT.parents[2]
MEAN_STEPS = 1_500
SEEDS = (1, 2, 3)


def sessions(folder: Path, mean_steps: int, *seeds: int) -> list[dict[str, Any]]:
    """How each ended."""
    folder.mkdir()
    paths = os.pathsep.join(str(path) for path in (SCRIPT.parent, ROOT / "tests" / "gateway", ROOT / "tests", ROOT))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(mean_steps), *(str(seed) for seed in seeds)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_daemon_that_dies_at_any_await_comes_to_the_same_end(tmp_path: Path) -> None:
    """The same five trades at the same prices, the same cash, nothing sent twice, no alert, always a stop."""
    (whole,) = sessions(tmp_path / "whole", 0, 0)
    assert len(whole["end"]["trades"]) == 5
    assert (whole["end"]["is_clean"], whole["end"]["position_qty"]) == (True, 0)
    assert whole["lives"] == 1
    for killed in sessions(tmp_path / "killed", MEAN_STEPS, *SEEDS):
        assert killed["faults"] == []
        assert killed["end"] == whole["end"]
        assert killed["lives"] > 10
