"""A disk that refuses at any write of a session: entries stop, protection goes on, and a mended disk is gone on from.

The whole daemon over real sockets. Each case is judged by the exchange's ledger, and against the same session on a
whole disk. A hundredth of the cases is played here, all of them by `make campaign-disk`: each write is one.
"""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "campaign_disk.py"
EVERY = 101

pytestmark = pytest.mark.timeout(300)


class Line(Struct, frozen=True):
    """What the campaign keeps of a case."""

    case: int
    what: str
    has_failed: bool
    wrong: list[str]


def test_disk_that_refuses_at_any_write_ends_entries_and_nothing_else(tmp_path: Path) -> None:
    """No entry without its intent and its line, open trades end as on a whole disk, somebody is told, books agree."""
    out = tmp_path / "disk.jsonl"
    played = subprocess.run(
        [sys.executable, str(SCRIPT), "--first", "4", "--every", str(EVERY), "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = msgspec.json.Decoder(Line).decode_lines(out.read_bytes()) if out.exists() else []
    assert len(lines) >= 10, played.stderr
    assert {line.what: line.wrong for line in lines if line.wrong} == {}
    assert all(line.has_failed for line in lines)
    assert {line.what.split()[0] for line in lines} == {"all", "broken", "full", "line"}
