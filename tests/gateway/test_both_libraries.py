"""The same checks with ib_insync and with ib_async, each in its own process, against `trader gateway-sim`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

OTHER_PYTHON = "IB_ASYNC_PYTHON"
CHECKS = Path(__file__).with_name("client_checks.py")


@pytest.fixture(params=["ib_insync", "ib_async"])
def python(request: pytest.FixtureRequest) -> str:
    """A Python that has the library."""
    if request.param == "ib_insync":
        return sys.executable
    other = os.environ.get(OTHER_PYTHON)
    if not other:
        pytest.skip(f"{OTHER_PYTHON} names no Python with ib_async: `make test` makes one where it can be installed")
    return other


def test_the_gateway_serves_an_unmodified_client(python: str) -> None:
    """Contracts, bars, a bracket, errors, a client id that is in use and a second connection; the ledger is clean."""
    command = [sys.executable, "-m", "trader", "gateway-sim", "--bars", "sample", "--port", "0", "--speed", "1200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            assert gateway.stdout is not None
            port = gateway.stdout.readline().split(";")[0].rpartition(":")[2]
            done = subprocess.run([python, CHECKS, port], capture_output=True, text=True, timeout=60, check=False)
        finally:
            gateway.send_signal(signal.SIGTERM)
        found = json.loads(gateway.stdout.read())
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all checks passed\n")
    assert (found["executions"], found["position"], found["duplicates"], found["orphans"]) == (2, 0, [], [])
    assert gateway.returncode == 0
