"""What a model bundle says about itself: `manifest.json`, parsed strictly. Imports msgspec and the table."""

import math
from enum import StrEnum

from msgspec import Struct

from trader.domain.actions import ACTION_COUNT
from trader.observation import BASE_SIZE, FULL_SIZE, SCHEMA

FORMAT = 1
ENTRY_ACTIONS = 3
"""HOLD, BUY, SELL: the actions of a policy that only enters."""
LAYERS_MAX = 8
WIDTH_MAX = 4096


class Inputs(StrEnum):
    """Which part of the observation the policy eats: the first 228 values, or all 261."""

    BASE = "base"
    FULL = "full"

    @property
    def width(self) -> int:
        """Number of values."""
        match self:
            case Inputs.BASE:
                return BASE_SIZE
            case Inputs.FULL:
                return FULL_SIZE


class Activation(StrEnum):
    """The function between two layers."""

    TANH = "tanh"
    RELU = "relu"


class Label(StrEnum):
    """What the data of the training allow a reader to conclude from results on them."""

    SYNTHETIC = "synthetic"
    IN_SAMPLE = "in_sample"
    RANDOM = "random"


class Normaliser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen: obs -> clip((obs - mean) / sqrt(variance + epsilon), +-clip); mean and variance are tensors."""

    clip: float
    epsilon: float


class Span(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bars that a policy was trained or evaluated on. `sha256` is over the bars; the dates are of sessions."""

    description: str
    sha256: str
    first_session: str
    last_session: str
    seed: int | None = None


class Evaluation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures of the deterministic policy on bars that training never saw; R is a trade's initial risk."""

    bars: Span
    trades: int
    net_r: float
    win_rate: float
    mean_episode_r: float
    episodes: int


class Provenance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the weights come from. A bundle without these facts cannot be made."""

    label: Label
    note: str
    training: Span
    code_version: str
    seed: int
    steps: int
    hyper_parameters: dict[str, str | int | float | bool | None]
    versions: dict[str, str]
    evaluation: Evaluation | None = None


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a bundle but its tensors. `hidden` are the widths between input and logits.

    `actions` is how many logits there are: 3 of a policy that only enters, or all six.
    """

    format: int
    name: str
    created_from: str
    schema: str
    schema_hash: str
    calendar_sha256: str
    inputs: Inputs
    hidden: tuple[int, ...]
    activation: Activation
    normaliser: Normaliser | None
    bar_minutes: int
    needs_volume: bool
    market: str
    phase: str
    provenance: Provenance
    actions: int = ACTION_COUNT
    weights_sha256: str = ""


def faults_of(manifest: Manifest) -> list[str]:
    """What makes a well-formed manifest unusable, one sentence each; empty when nothing does."""
    faults = []
    if manifest.format != FORMAT:
        faults.append(f"format is {manifest.format}, this version reads {FORMAT}")
    if manifest.schema != SCHEMA:
        faults.append(f"schema is {manifest.schema!r}, this version observes {SCHEMA!r}")
    if not 1 <= len(manifest.hidden) <= LAYERS_MAX or not all(1 <= width <= WIDTH_MAX for width in manifest.hidden):
        faults.append(f"hidden is {list(manifest.hidden)}: 1 to {LAYERS_MAX} layers of 1 to {WIDTH_MAX} units expected")
    if manifest.actions not in {ENTRY_ACTIONS, ACTION_COUNT}:
        faults.append(f"actions is {manifest.actions}: {ENTRY_ACTIONS} (entries only) or {ACTION_COUNT} expected")
    if manifest.bar_minutes < 1:
        faults.append(f"bar_minutes is {manifest.bar_minutes}, at least 1 expected")
    return faults + _normaliser_faults(manifest.normaliser)


def _normaliser_faults(normaliser: Normaliser | None) -> list[str]:
    if normaliser is None:
        return []
    faults = []
    if not (math.isfinite(normaliser.clip) and normaliser.clip > 0):
        faults.append(f"normaliser.clip is {normaliser.clip}, a finite number above 0 expected")
    if not (math.isfinite(normaliser.epsilon) and normaliser.epsilon >= 0):
        faults.append(f"normaliser.epsilon is {normaliser.epsilon}, a finite number of at least 0 expected")
    return faults
