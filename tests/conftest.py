"""What every test may ask for, and how hypothesis runs here.

Kernels keep numba's own on-disk cache beside their modules: the first run compiles, the others load.
"""

import os
from pathlib import Path

import hypothesis
import pytest
from tiny_phi3 import make_tiny_phi3

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Deadlines would measure the machine and the first call's compilation; `--hypothesis-seed` repeats a failure.
# CI repeats one set of examples, so that what lands does not depend on luck; everybody else looks for new ones.
hypothesis.settings.register_profile("project", deadline=None, print_blob=True, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data beside the repository; the test is skipped where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real market data in ../shared/data, which is not part of the repository")
    return SHARED_DATA


@pytest.fixture(scope="session")
def tiny_phi3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Phi-3, built once a run."""
    return make_tiny_phi3(tmp_path_factory.mktemp("tiny-phi3"))
