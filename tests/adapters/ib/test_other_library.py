"""The adapter's tests once more with ib_async, in a Python that has it."""

import os
import site
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OTHER_PYTHON = "IB_ASYNC_PYTHON"
FILES = (
    "test_link.py",
    "test_link_wrongs.py",
    "test_link_clocks.py",
    "test_link_logs.py",
    "test_truth.py",
    "test_broker.py",
    "test_broker_client.py",
    "test_broker_restart.py",
    "test_second_orders.py",
    "test_foreign.py",
    "test_guard.py",
    "test_contract.py",
    "test_feed.py",
    "test_feed_history.py",
    "test_feed_rights.py",
    "test_feed_roll.py",
    "test_flatten_tool.py",
)
"""Whoever writes tests that speak to the gateway through the client adds the file here."""


def test_the_adapter_behaves_the_same_with_ib_async() -> None:
    """Unchanged: only the library is another."""
    other = os.environ.get(OTHER_PYTHON)
    if other is None:
        pytest.skip(f"needs a Python with ib_async, which cannot be installed beside ib_insync: set {OTHER_PYTHON}")
    command = [other, HERE / "with_other_library.py", site.getsitepackages()[0], *(HERE / name for name in FILES)]
    done = subprocess.run(command, cwd=HERE.parents[2], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]
