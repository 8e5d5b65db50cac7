"""The tiny model, built once a run."""

from pathlib import Path

import pytest
from tiny_phi3 import make_tiny_phi3


@pytest.fixture(scope="session")
def tiny_phi3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Phi-3 of random weights, to be loaded as the real one is."""
    return make_tiny_phi3(tmp_path_factory.mktemp("tiny-phi3"))
