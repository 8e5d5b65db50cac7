"""Which of a run's bundles stands for it: that of the median seed, never the best."""

from pathlib import Path

from msgspec import Struct

from trader.errors import InputError, UsageError
from trader.training.phases import BUNDLE, Phase, Record, Validation, folder_of, read_record


class Chosen(Struct, frozen=True, kw_only=True):
    """A bundle, and why it is the one. `validation` is that of the kept weights, None where nothing was validated."""

    bundle: Path
    phase: Phase
    seed: int
    seeds: tuple[int, ...]
    validation: Validation | None


def kept(record: Record) -> Validation | None:
    """The evaluation of the weights that were kept."""
    return next((entry for entry in record.evaluations if entry.steps == record.kept_steps), None)


def finished(run: Path) -> list[Record]:
    """The records of everything that is finished in a run's folder, by phase and seed."""
    records = [record for path in run.glob("phase-*-seed-*") if (record := read_record(path)) and record.is_finished]
    return sorted(records, key=lambda record: (record.phase, record.seed))


def choose(run: Path, *, phase: Phase | None = None, seed: int | None = None) -> Chosen:
    """The bundle of `phase` (the last one finished) and `seed` (the median one by mean daily net R of validation).

    Of an even number the lower of the two in the middle. InputError where the run has no such bundle, UsageError where
    several seeds were not validated, so that no median is known.
    """
    records = finished(run)
    last = max((record.phase for record in records), default=0) if phase is None else phase
    found = [record for record in records if record.phase == last and seed in {None, record.seed}]
    if not found:
        msg = f"{run}: has no finished bundle{'' if seed is None else f' of seed {seed}'}; train with `trader train`"
        raise InputError(msg)
    judged = [(validation.daily_net_r, record) for record in found if (validation := kept(record))]
    if len(found) > 1 and len(judged) < len(found):
        msg = f"{run}: seeds {[record.seed for record in found]} were not validated; say which one with --seed"
        raise UsageError(msg)
    ranked = [record for _, record in sorted(judged, key=lambda pair: (pair[0], pair[1].seed))] or found
    chosen = ranked[(len(ranked) - 1) // 2]
    return Chosen(
        bundle=folder_of(run, Phase(chosen.phase), chosen.seed) / BUNDLE,
        phase=Phase(chosen.phase),
        seed=chosen.seed,
        seeds=tuple(record.seed for record in found),
        validation=kept(chosen),
    )
