"""kill -9 of the whole daemon at random moments: nothing is sent twice, nothing forgotten, nothing left without a stop.

The full campaign is `make campaign-kill`; here its lives are forked from a prepared process.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "campaign_kill.py"
KILLS = 20


@pytest.mark.parametrize("broker", ["ib", "paper"])
def test_killed_daemon_goes_on_as_the_broker_has_it(broker: str, tmp_path: Path) -> None:
    """Twenty kills in front of one gateway that goes on: the script's own judgement, and that there was something to
    judge."""
    command = [sys.executable, str(SCRIPT), "--forked", "--json", "--broker", broker, "--kills", str(KILLS)]
    command += ["--legs", "1", "--workers", "1", "--speed", "600", "--bars-alive", "8", "--folder", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)[0]
    assert found["faults"] == []
    assert ended.returncode == 0
    assert (found["kills"], found["restarts"]) == (KILLS, KILLS)
    assert found["executions"] > KILLS / 4
    assert (found["caught_up"] > 0) == (broker == "paper")
