"""What the tests of the configuration share: the shipped settings, changed copies of the shipped files, refusals."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from trader.errors import ConfigurationError
from trader.settings import SHIPPED_DIR, Settings, load_settings


def shipped(**layers: Any) -> Settings:
    """Settings of the shipped files without the process's environment, unless `layers` says otherwise."""
    return load_settings(**{"environ": {}, **layers})


def refusal(**layers: Any) -> str:
    """The message with which these layers are refused."""
    with pytest.raises(ConfigurationError) as caught:
        shipped(**layers)
    return str(caught.value)


def copy_of_shipped(tmp_path: Path) -> Path:
    """A copy of the shipped files to change."""
    folder = tmp_path / "config"
    shutil.copytree(SHIPPED_DIR, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edit(path: Path, old: str, new: str) -> int:
    """Replace `old`, which must stand there once, and give the line on which it stood."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1
