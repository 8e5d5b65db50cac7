"""`trader export`: the bundle of a run, or a MaskablePPO checkpoint made one. Needs the extra `rl`."""

import sys
from pathlib import Path

import msgspec
import yaml
from msgspec import Struct
from msgspec.structs import replace

from trader import __version__
from trader.domain.sessions import Calendar
from trader.errors import InputError, UsageError
from trader.observation import schema_hash
from trader.options import ExportOptions
from trader.policy.bundle import load_bundle, save_bundle, weights_of
from trader.policy.manifest import Label, Span

try:
    from trader.training.choice import Chosen, choose
    from trader.training.export import Facts, export_bundle
    from trader.training.phases import Phase
except ModuleNotFoundError as error:
    if error.name not in {"torch", "stable_baselines3", "sb3_contrib", "gymnasium"}:
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


def run(source: Path, out: Path, options: ExportOptions) -> None:
    """Write the bundle `out`; BundleError or InputError names file, fault and remedy, and nothing is written then."""
    if MISSING:
        raise UsageError(MISSING)
    if source.is_dir():
        _of_run(source, out, options)
    elif options.facts is None:
        msg = f"{source}: a checkpoint does not say what it was trained on; state it with --facts FILE"
        raise UsageError(msg)
    else:
        _of_checkpoint(source, out, options.facts, options)


def _of_run(run_folder: Path, out: Path, options: ExportOptions) -> None:
    phase = None if options.phase is None else Phase(int(options.phase))
    chosen = choose(run_folder, phase=phase, seed=options.seed)
    bundle = load_bundle(
        chosen.bundle,
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        bar_minutes=None,
        has_volume=None,
    )
    origin = bundle.manifest.provenance
    parts = [f"Chosen as {_why(chosen)}.", origin.note, *([options.note] if options.note else [])]
    manifest = replace(bundle.manifest, provenance=replace(origin, note=" ".join(parts)))
    save_bundle(out, manifest, weights_of(bundle), bundle.golden)
    sys.stdout.write(f"{out}: {manifest.name}, {_why(chosen)}\n")


def _why(chosen: "Chosen") -> str:
    if chosen.validation is None:
        return f"seed {chosen.seed}, not validated"
    what = f"{chosen.validation.daily_net_r:+.3f} R a validation day after the steps that were best there"
    if len(chosen.seeds) == 1:
        return f"the only seed, {what}"
    return f"seed {chosen.seed}, the median of {', '.join(map(str, chosen.seeds))}, {what}"


def _of_checkpoint(checkpoint: Path, out: Path, facts_file: Path, options: ExportOptions) -> None:
    stated = _stated(facts_file)
    facts = Facts(
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        code_version=__version__,
        **{field: getattr(stated, field) for field in stated.__struct_fields__},
    )
    manifest = export_bundle(checkpoint, out, facts, statistics=options.statistics, trust_pickle=options.trust_pickle)
    sys.stdout.write(f"{out}: {manifest.name}, {manifest.inputs.width} inputs, hidden {list(manifest.hidden)}\n")


def _stated(path: Path) -> Stated:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), Stated)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        msg = f"{path}: not the facts of a model ({error}); `trader export --help` lists what it must state"
        raise InputError(msg) from error
