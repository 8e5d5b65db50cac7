"""What several tests of logs begin with."""

from pathlib import Path

import pytest
from damaged_logs import FILES, SEALER
from log_builders import write_files


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The undamaged run on disk."""
    return write_files(tmp_path / "run", FILES, SEALER)
