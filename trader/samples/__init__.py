"""The embedded sample: synthetic NQ minutes and the facts about them. Made by `scripts/make_sample.py`.

`nq_synthetic_1m.csv.gz` holds bars in the layout of a vendor's file: naive New York stamps of each bar's open, and the
contract. `nq_synthetic_1m.json` says that no market made them, and with which seed they can be made again.
"""

from importlib import resources
from importlib.resources.abc import Traversable

SAMPLE_NAME = "nq_synthetic_1m.csv.gz"
FACTS_NAME = "nq_synthetic_1m.json"


def sample(name: str = SAMPLE_NAME) -> Traversable:
    """A file of the sample inside the installed package."""
    return resources.files(__name__).joinpath(name)
