"""The three phases: what each may do and see, and where its results lie."""

import json
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from trader.domain.actions import ACTION_COUNT
from trader.errors import InputError
from trader.policy.bundle import MANIFEST_NAME
from trader.policy.manifest import ENTRY_ACTIONS, Inputs

BUNDLE = "bundle"
LATEST = "latest"
CRITIC = "critic.safetensors"
SNAPSHOTS = "snapshot"
BOARD = "tensorboard"
CURVE = "curve.jsonl"
RECORD = "training.json"


class Phase(IntEnum):
    """Entries, position management, market context."""

    ENTRIES = 1
    MANAGEMENT = 2
    CONTEXT = 3

    @property
    def label(self) -> str:
        """Its name in manifests and messages."""
        return f"phase-{self.value}"

    @property
    def actions(self) -> int:
        """Number of actions: HOLD, BUY and SELL, or all six."""
        return ENTRY_ACTIONS if self is Phase.ENTRIES else ACTION_COUNT

    @property
    def before(self) -> "Phase | None":
        """The phase from which this one begins."""
        return None if self is Phase.ENTRIES else Phase(self.value - 1)

    def inputs(self, *, use_llm_features: bool) -> Inputs:
        """Which part of the observation it reads; the context only in phase 3, and only if wanted."""
        return Inputs.FULL if self is Phase.CONTEXT and use_llm_features else Inputs.BASE


class Validation(Struct, frozen=True, kw_only=True):
    """The deterministic policy on the validation dates after `steps`; R is a trade's own initial risk, net of costs."""

    steps: int
    daily_net_r: float
    net_r: float
    trades: int
    win_rate: float
    sessions: int


class Record(Struct, frozen=True, kw_only=True):
    """`training.json`: what a phase of one seed began from, and what came of it. `kept_steps` is the bundle's."""

    phase: int
    seed: int
    is_finished: bool
    steps: int
    source: str | None
    had_critic: bool
    ground_sha256: str
    kept_steps: int | None = None
    evaluations: tuple[Validation, ...] = ()


def folder_of(run: Path, phase: Phase, seed: int) -> Path:
    """Where a phase of one seed keeps everything."""
    return run / f"{phase.label}-seed-{seed}"


def read_record(folder: Path) -> Record | None:
    """The record of a phase; None where it has not begun. InputError if it is no record."""
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{path}: is no record of a training ({error}); train this phase again in another run"
        raise InputError(msg) from error


def is_finished(folder: Path) -> bool:
    """Whether the phase in `folder` was trained to its end."""
    record = read_record(folder)
    return record is not None and record.is_finished


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON; whoever looks finds the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(msgspec.to_builtins(content), indent=2) + "\n", "utf-8")
    partial.replace(path)


def newest_bundle(runs: Path, phase: Phase) -> Path | None:
    """The bundle of `phase` that was finished last in the folder of all runs; None where there is none."""
    found = [
        folder / BUNDLE
        for folder in runs.glob(f"*/{phase.label}-seed-*")
        if (record := read_record(folder)) and record.is_finished and (folder / BUNDLE / MANIFEST_NAME).exists()
    ]
    return max(found, key=lambda path: ((path.parent / RECORD).stat().st_mtime_ns, str(path)), default=None)
