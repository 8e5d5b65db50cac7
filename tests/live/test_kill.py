"""kill -9 of the whole daemon at random moments: nothing is sent twice, nothing forgotten, nothing left without a stop.

The full campaign is `make campaign-kill`; here its lives are forked from a prepared process.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "campaign_kill.py"
KILLS = 20


def test_killed_daemon_goes_on_as_the_broker_has_it(tmp_path: Path) -> None:
    """Twenty kills with each broker in front of a gateway that goes on: the script's own judgement, and that there was
    something to judge."""
    command = [sys.executable, str(SCRIPT), "--forked", "--json", "--broker", "both", "--kills", str(KILLS)]
    command += ["--legs", "1", "--workers", "2", "--speed", "600", "--bars-alive", "8", "--folder", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout, ended.stderr
    found: dict[str, dict[str, Any]] = {each["broker"]: each for each in json.loads(ended.stdout)}
    assert {broker: each["faults"] for broker, each in found.items()} == {"ib": [], "paper": []}
    assert ended.returncode == 0
    for broker, each in found.items():
        assert (each["kills"], each["restarts"]) == (KILLS, KILLS)
        assert each["executions"] > KILLS / 4
        assert (each["caught_up"] > 0) == (broker == "paper")
