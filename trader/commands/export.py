"""`trader export`: a MaskablePPO checkpoint becomes a bundle that the line can load. Needs the extra `rl`."""

import sys
from pathlib import Path

import msgspec
import yaml
from msgspec import Struct

from trader import __version__
from trader.domain.sessions import Calendar
from trader.errors import InputError, UsageError
from trader.observation import schema_hash
from trader.policy.manifest import Label, Span

try:
    from trader.training.export import Facts, export_bundle
except ModuleNotFoundError as error:
    if error.name not in {"torch", "stable_baselines3", "sb3_contrib"}:
        raise
    MISSING = f"`trader export` needs {error.name}, which is not installed: pip install 'nq-trader[rl]'"
else:
    MISSING = ""


class Stated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a checkpoint does not know about itself, as the facts file states it."""

    name: str
    market: str
    bar_minutes: int
    needs_volume: bool
    phase: str
    label: Label
    note: str
    training: Span
    seed: int | None = None


def run(checkpoint: Path, out: Path, facts_file: Path, statistics: Path | None, *, trusts_pickle: bool) -> None:
    """Write the bundle `out`; BundleError or InputError names file, fault and remedy, and nothing is written then."""
    if MISSING:
        raise UsageError(MISSING)
    stated = _stated(facts_file)
    facts = Facts(
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        code_version=__version__,
        **{field: getattr(stated, field) for field in stated.__struct_fields__},
    )
    manifest = export_bundle(checkpoint, out, facts, statistics=statistics, trust_pickle=trusts_pickle)
    sys.stdout.write(f"{out}: {manifest.name}, {manifest.inputs.width} inputs, hidden {list(manifest.hidden)}\n")


def _stated(path: Path) -> Stated:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), Stated)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        msg = f"{path}: not the facts of a model ({error}); `trader export --help` lists what it must state"
        raise InputError(msg) from error
