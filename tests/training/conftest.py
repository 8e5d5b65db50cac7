"""How torch runs in the tests of training."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Threads that wait for each other cost more than networks of this size."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
