"""What tests of both client libraries share."""

import os
import sys

import pytest

OTHER_PYTHON = "IB_ASYNC_PYTHON"


@pytest.fixture(params=["ib_insync", "ib_async"])
def library_python(request: pytest.FixtureRequest) -> str:
    """A Python that has the library."""
    if request.param == "ib_insync":
        return sys.executable
    other = os.environ.get(OTHER_PYTHON)
    if not other:
        pytest.skip(f"{OTHER_PYTHON} names no Python with ib_async: `make test` makes one where it can be installed")
    return other
