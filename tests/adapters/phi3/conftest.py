"""The tiny model, loaded once a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from phi3_builders import options

if TYPE_CHECKING:
    from trader.adapters.phi3.model import Phi3Model


@pytest.fixture(scope="session")
def tiny_model(tiny_phi3: Path) -> "Phi3Model":
    """The tiny model in float32, loaded by the production path; whoever spoils its cache leaves it as it was."""
    from trader.adapters.phi3.model import Phi3Model  # noqa: PLC0415 -- seconds of imports, for these tests only

    return Phi3Model(options(tiny_phi3))
