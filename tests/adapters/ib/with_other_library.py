"""Runs tests by a Python that has ib_async and little else: `PYTHON with_other_library.py SITE_PACKAGES TEST...`.

Its own packages come first, since both libraries bring a package `eventkit`; what it lacks is found in SITE_PACKAGES.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.append(sys.argv[1])
os.environ["IB_LIBRARY"] = "ib_async"

import pytest

sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
