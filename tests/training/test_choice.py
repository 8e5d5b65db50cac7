"""Which seed stands for a run: the median, never the best."""

from pathlib import Path

import pytest

from trader.errors import InputError, UsageError
from trader.training.choice import choose
from trader.training.phases import RECORD, Phase, Record, Validation, folder_of, write_json


def a_validation(daily_net_r: float, steps: int = 100) -> Validation:
    return Validation(steps=steps, daily_net_r=daily_net_r, net_r=1.0, trades=3, win_rate=0.5, sessions=10)


def a_run(run: Path, results: dict[int, float | None], phase: Phase = Phase.CONTEXT, **changes: object) -> Path:
    """Seeds with the validation of their kept weights, and a better one of weights that were not kept."""
    for seed, daily_net_r in results.items():
        folder = folder_of(run, phase, seed)
        folder.mkdir(parents=True)
        found = () if daily_net_r is None else (a_validation(9.0, steps=50), a_validation(daily_net_r))
        record = {
            "phase": phase.value,
            "seed": seed,
            "is_finished": True,
            "steps": 120,
            "source": None,
            "had_critic": False,
            "ground_sha256": "ab",
            "kept_steps": 100,
            "evaluations": found,
        }
        write_json(folder / RECORD, Record(**(record | changes)))
    return run


@pytest.mark.parametrize(
    ("results", "seed"),
    [
        ({1: 0.3, 2: -0.2, 3: 0.1}, 3),
        ({1: 0.3, 2: -0.2}, 2),
        ({1: 0.3, 2: -0.2, 3: 0.1, 4: 0.2}, 3),
        ({5: 0.1, 2: 0.1, 9: 0.1}, 5),
        ({7: -1.0}, 7),
    ],
)
def test_choice_is_the_median_seed_by_the_validation_of_its_kept_weights(tmp_path, results, seed):
    """Of an even number the lower one in the middle; equals by their seed."""
    chosen = choose(a_run(tmp_path, results))
    assert chosen.seed == seed
    assert chosen.validation == a_validation(results[seed])
    assert chosen.bundle == tmp_path / f"phase-3-seed-{seed}" / "bundle"
    assert chosen.seeds == tuple(sorted(results))


def test_choice_is_of_the_last_phase_unless_another_is_named(tmp_path):
    """Earlier phases are steps on the way; what is not finished does not count."""
    a_run(tmp_path, {1: 0.5, 2: 0.1, 3: 0.2}, Phase.ENTRIES)
    a_run(tmp_path, {1: -0.5}, Phase.MANAGEMENT)
    a_run(tmp_path, {1: 0.9}, Phase.CONTEXT, is_finished=False)
    assert (choose(tmp_path).phase, choose(tmp_path).seed) == (Phase.MANAGEMENT, 1)
    first = choose(tmp_path, phase=Phase.ENTRIES)
    assert (first.phase, first.seed) == (Phase.ENTRIES, 3)
    assert choose(tmp_path, phase=Phase.ENTRIES, seed=2).seed == 2


def test_choice_among_seeds_that_were_not_validated_is_refused(tmp_path):
    """No median is known, and the best one is not asked for; one seed needs no choice."""
    with pytest.raises(UsageError, match=r"seeds \[1, 2\] were not validated; say which one with --seed"):
        choose(a_run(tmp_path / "two", {1: 0.4, 2: None}))
    assert choose(tmp_path / "two", seed=2).validation is None
    assert choose(a_run(tmp_path / "one", {4: None})).seed == 4


def test_choice_of_a_run_without_a_bundle_says_so(tmp_path):
    """An empty folder, or a seed that it does not have."""
    with pytest.raises(InputError, match="has no finished bundle; train with"):
        choose(tmp_path)
    with pytest.raises(InputError, match="has no finished bundle of seed 8"):
        choose(a_run(tmp_path, {1: 0.1}), seed=8)
