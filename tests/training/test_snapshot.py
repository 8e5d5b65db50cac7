"""A training that is cut off goes on as if it had not been; a file that is damaged is not believed."""

import msgspec
import numpy as np
import pytest
from lesson_builders import ORIGIN, a_learner, a_lesson, learn, parameters_of

from trader.errors import InputError
from trader.training import snapshot
from trader.training.beginning import go_on
from trader.training.transfer import Scale

STORY = {"had_critic": False, "taught": msgspec.to_builtins(ORIGIN)}
SCALE = Scale(mean=np.zeros(228, np.float32), variance=np.ones(228, np.float32))


def taken(learner) -> snapshot.Snapshot:
    made = snapshot.take(learner, STORY)
    made.arrays["scale.mean"], made.arrays["scale.variance"] = SCALE.mean, SCALE.variance
    return made


@pytest.fixture
def cut(tmp_path):
    """A learner after two updates, and the file of its state."""
    learner = a_learner()
    learn(learner, 2)
    return learner, snapshot.write(tmp_path, taken(learner))


def test_snapshot_goes_on_to_the_same_weights_and_the_same_curve(tmp_path):
    """Generators, environment, optimiser and counters are restored: bit for bit the training that was not cut off."""
    lesson = a_lesson()
    whole = go_on(lesson, taken(a_learner())).learner
    path = None
    curve = []
    for update in whole.updates():
        curve.append(update)
        if update.number == 3:
            path = snapshot.write(tmp_path, taken(whole))
    assert path is not None
    np.random.seed(99)  # noqa: NPY002 - whatever the process did meanwhile does not matter
    resumed = go_on(lesson, snapshot.read(path)).learner
    assert list(resumed.updates()) == curve[3:]
    wanted = parameters_of(whole)
    assert all((values == wanted[name]).all() for name, values in parameters_of(resumed).items())
    ours, theirs = taken(resumed), taken(whole)
    assert ours.counters == theirs.counters
    assert ours.arrays.keys() == theirs.arrays.keys()
    assert [name for name in theirs.arrays if not np.array_equal(ours.arrays[name], theirs.arrays[name])] == []


def test_snapshot_read_is_what_was_written(cut):
    """Every array with its type and shape, every counter."""
    learner, path = cut
    made, read = taken(learner), snapshot.read(path)
    assert read.counters == made.counters
    assert read.story == STORY
    for name, array in made.arrays.items():
        assert (read.arrays[name].dtype, read.arrays[name].shape) == (array.dtype, array.shape), name
        assert np.array_equal(read.arrays[name], array), name


def test_snapshot_that_was_restored_is_taken_again_alike(cut):
    """Nothing of it is left out, whether or not the next update would need it."""
    _, path = cut
    read = snapshot.read(path)
    again = taken(go_on(a_lesson(), read).learner)
    assert again.counters == read.counters
    assert again.arrays.keys() == read.arrays.keys()
    assert [name for name in read.arrays if not np.array_equal(again.arrays[name], read.arrays[name])] == []


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "foreign"])
def test_snapshot_that_is_damaged_is_refused_and_left_as_it_is(cut, damage):
    """Half a file, one byte changed, nothing, or something else: the error says what to do, the file stays."""
    learner, path = cut
    content = path.read_bytes()
    damaged = {
        "cut": content[: len(content) // 2],
        "changed": content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        "empty": b"",
        "foreign": b"PK\x03\x04 something else",
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"is cut off, changed or no snapshot; train this phase again"):
        snapshot.read(path)
    learn(learner, 1)
    later = snapshot.write(path.parent, taken(learner))
    later.write_bytes(later.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"remove it to go on from {path.name}"):
        snapshot.read(later)
    assert path.read_bytes() == damaged


def test_snapshots_are_written_whole_and_two_are_kept(tmp_path):
    """The newest and the one before; nothing half written is left."""
    learner = a_learner()
    names = []
    for _ in range(4):
        learn(learner, 1)
        names.append(snapshot.write(tmp_path, taken(learner)).name)
    assert sorted(path.name for path in tmp_path.iterdir()) == names[-2:]
    assert snapshot.snapshots_in(tmp_path)[-1].name == names[-1]


def test_snapshot_that_cannot_be_written_says_so(tmp_path):
    """A folder that is a file is no place."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        snapshot.write(tmp_path / "taken", taken(a_learner()))
