"""The same checks with ib_insync and with ib_async, each in its own process, against `trader gateway-sim`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

CHECKS = Path(__file__).with_name("client_checks.py")


def test_the_gateway_serves_an_unmodified_client(library_python: str) -> None:
    """Contracts, bars, a bracket, errors, a client id that is in use and a second connection; the ledger is clean."""
    command = [sys.executable, "-m", "trader", "gateway-sim", "--bars", "sample", "--port", "0", "--speed", "1200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            assert gateway.stdout is not None
            port = gateway.stdout.readline().split(";")[0].rpartition(":")[2]
            done = subprocess.run(
                [library_python, CHECKS, port], capture_output=True, text=True, timeout=60, check=False
            )
        finally:
            gateway.send_signal(signal.SIGTERM)
        found = json.loads(gateway.stdout.read())
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all checks passed\n")
    assert (found["executions"], found["position"], found["duplicates"], found["orphans"]) == (2, 0, [], [])
    assert gateway.returncode == 0
