"""Without the extra `llm` a model is refused with the command that installs it, before anything heavy is imported."""

import sys
from pathlib import Path

import pytest

from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.worker import load
from trader.errors import ConfigurationError


@pytest.mark.parametrize("package", ["torch", "transformers", "accelerate", "bitsandbytes"])
def test_model_without_a_package_names_it_and_how_to_get_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon's environment may well have none of them."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"{package}.*pip install 'nq-trader\[llm\]'"):
        load(ModelOptions(name=str(tmp_path), quantization="int8"))
