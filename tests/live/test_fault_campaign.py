"""A hundred sessions of the daemon with everything that the gateway can make go wrong, each drawn from its seed."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from trader.gateway.faults import Verb

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "campaign_faults.py"
SEEDS = 100

pytestmark = pytest.mark.timeout(600)


class Line(Struct, frozen=True):
    """What the campaign keeps of a scenario."""

    seed: int
    wrong: list[str]
    fired: dict[str, int]
    orders: int


def test_no_mix_of_faults_leaves_a_duplicate_an_orphan_a_wrong_side_or_a_naked_position(tmp_path: Path) -> None:
    """Book and exchange agree at the end, the log verifies, the state restores, nothing was entered in doubt."""
    out = tmp_path / "faults.jsonl"
    options = ["--first", "1", "--seeds", str(SEEDS), "--workers", "2", "--out", str(out)]
    played = subprocess.run(
        [sys.executable, str(SCRIPT), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = msgspec.json.Decoder(Line).decode_lines(out.read_bytes()) if out.exists() else []
    assert len(lines) == SEEDS, played.stderr
    assert {line.seed: line.wrong for line in lines if line.wrong} == {}
    assert {verb for line in lines for verb in line.fired} == set(Verb)
    assert sum(line.orders for line in lines) > 10 * SEEDS
