"""Compiled kernels belong to their sources: another version never runs an old one."""

import os
import subprocess
import sys
from pathlib import Path

from trader import kernel_cache


def test_use_fresh_cache_names_a_folder_after_the_sources(tmp_path, monkeypatch):
    """A changed kernel source means another folder; the old one goes, but from a folder that is shared."""
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    (kernels / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(kernel_cache, "KERNELS", kernels)
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    kernel_cache.use_fresh_cache()
    first = Path(os.environ["NUMBA_CACHE_DIR"])
    first.mkdir(parents=True)
    shared = tmp_path / "shared" / first.name
    shared.mkdir(parents=True)

    (kernels / "a.py").write_text("x = 2\n")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    kernel_cache.use_fresh_cache()
    second = Path(os.environ["NUMBA_CACHE_DIR"])
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(shared.parent))
    kernel_cache.use_fresh_cache()

    assert second.parent == first.parent == kernels / "__pycache__"
    assert second != first
    assert not first.exists()
    assert Path(os.environ["NUMBA_CACHE_DIR"]) == shared.parent / second.name
    assert shared.exists()


def test_warm_kernels_leaves_nothing_to_compile_to_a_later_bar():
    """Neither the model's first proposal nor the first roll of a running daemon may stop for a second to compile."""
    script = """
from trader.app import open_bundle
from trader.commands.warm import warm_kernels
from trader.domain.sessions import Calendar
from trader.kernels import forward, market
from trader.settings import load_settings
import numpy as np

settings = load_settings(environ={})
bundle = open_bundle(settings, Calendar.load(), None)
warm_kernels(settings)
shown = np.zeros(261, np.float32)
shown.flags.writeable = False
bundle.network.choose(shown, 63)
print(len(market.roll.signatures), len(forward.choose.signatures))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["1", "1"]


def test_use_fresh_cache_child_process_keeps_its_parents_choice():
    """The variable is inherited once, not nested deeper with every process."""
    script = "import os, trader; print(os.environ['NUMBA_CACHE_DIR'])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == os.environ["NUMBA_CACHE_DIR"]
