"""`trader verify` of lines and files deleted, copied, added or exchanged: what was done is found, and where."""

import json

import pytest
from damaged_logs import FILES, NAMES, PLACES, SEALER, Files, assert_found, checked, copy_of_files, first_difference
from hypothesis import given
from hypothesis import strategies as st
from log_builders import Sealer, a_record

from trader.analysis.damage import DamageKind
from trader.analysis.verify import Status


@given(places=st.lists(st.sampled_from(PLACES), min_size=1, max_size=4, unique=True))
def test_verify_lines_deleted_name_the_place_of_the_first(places: list[tuple[str, int]]):
    """One line or several, anywhere, joining lines and the end included.

    Where a file's tail is gone together with the line that joins the next file to it, nothing is left to say where the
    gap began: the next file's first line is named, which does not follow.
    """
    files = copy_of_files()
    for name, index in sorted(places, reverse=True):
        del files[name][index]
    first = first_difference(files)
    assert first is not None
    following = NAMES[min(NAMES.index(first[0]) + 1, 2)]
    if 0 < len(files[first[0]]) < first[1] and (following, 0) in places:
        first = following, 1
    status, damage = checked(files)
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.file, damage.line) == first


@given(source=st.sampled_from(PLACES), target=st.sampled_from(PLACES))
def test_verify_line_copied_names_the_copy(source: tuple[str, int], target: tuple[str, int]):
    """A real line of the log, in front of any other."""
    files = copy_of_files()
    files[target[0]].insert(target[1], FILES[source[0]][source[1]])
    assert_found(files)


@given(one=st.sampled_from(PLACES), other=st.sampled_from(PLACES))
def test_verify_two_lines_exchanged_names_the_first(one: tuple[str, int], other: tuple[str, int]):
    """Any two lines of any two files."""
    if one == other:
        return
    files = copy_of_files()
    files[one[0]][one[1]], files[other[0]][other[1]] = FILES[other[0]][other[1]], FILES[one[0]][one[1]]
    assert_found(files)


@given(length=st.integers(0, sum(len(b"".join(lines)) for lines in FILES.values()) - 1))
def test_verify_tail_cut_names_the_first_missing_line(length: int):
    """At any byte; files that are cut away whole are not there at all."""
    files: Files = {}
    for name, lines in FILES.items():
        data = b"".join(lines)
        if length > 0 or not files:
            files[name] = [data[:length]]
        length = max(length - len(data), 0)
    status, damage = checked(files)
    assert status is Status.DAMAGED
    assert damage is not None
    difference = first_difference(files)
    assert difference is not None
    last = list(files)[-1]
    if difference[0] == last:
        assert (damage.file, damage.line) == difference
    else:  # a whole file is missing: the line after the last one that is there
        assert (damage.file, damage.line) == (last, len(FILES[last]) + 1)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_verify_contents_of_two_files_exchanged_names_the_first_line(one: int, other: int):
    """Under each other's names they no longer follow."""
    files = copy_of_files()
    files[NAMES[one]], files[NAMES[other]] = files[NAMES[other]], files[NAMES[one]]
    assert_found(files)


def test_verify_middle_file_missing_names_the_file_that_goes_on_from_it():
    """The third file says what it continues."""
    status, damage = checked({NAMES[0]: FILES[NAMES[0]], NAMES[2]: FILES[NAMES[2]]})
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.kind, damage.file, damage.line) == (DamageKind.DELETED, NAMES[2], 1)
    assert NAMES[1] in damage.what


def test_verify_last_file_renamed_is_found():
    """The chain does not hold the last file's name; its bars' session does."""
    files = {NAMES[0]: FILES[NAMES[0]], NAMES[1]: FILES[NAMES[1]], "decisions-2023-01-05.jsonl": FILES[NAMES[2]]}
    status, damage = checked(files)
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.file, damage.line) == ("decisions-2023-01-05.jsonl", 2)


def test_verify_forged_line_is_named_although_its_own_link_holds():
    """Whoever inserts a line can hash it; the line after it still follows the one before."""
    files = copy_of_files()
    forger = Sealer()
    forger.head = json.loads(FILES[NAMES[0]][2])["hash"]
    files[NAMES[0]].insert(3, forger.seal(a_record(2, minute=30, session="2023-01-02")))
    assert_found(files, DamageKind.INSERTED)


def test_verify_line_appended_after_the_end_is_named():
    """Even one that is hashed on."""
    files = copy_of_files()
    forger = Sealer()
    forger.head = SEALER.head
    files[NAMES[2]].append(forger.seal(a_record(12, session="2023-01-04")))
    assert_found(files, DamageKind.INSERTED)


@pytest.mark.parametrize(
    ("index", "with_", "kind"),
    [
        pytest.param(2, [], DamageKind.DELETED, id="a bar deleted"),
        pytest.param(2, [1, 2], DamageKind.INSERTED, id="a bar copied before another"),
        pytest.param(2, [4], DamageKind.DELETED, id="a later bar in its place"),
        pytest.param(4, [1], DamageKind.REORDERED, id="an earlier bar in its place"),
    ],
)
def test_verify_damage_of_bars_is_told_by_its_kind(index: int, with_: list[int], kind: DamageKind):
    """What a reader is told is what was done, where the chain and the bars' numbers can tell."""
    files = copy_of_files()
    lines = files[NAMES[0]]
    lines[index : index + 1] = [FILES[NAMES[0]][other] for other in with_]
    assert_found(files, kind)


def test_verify_neighbours_exchanged_are_called_reordered():
    """The chain shows that both lines are there, the wrong way round."""
    files = copy_of_files()
    lines = files[NAMES[1]]
    lines[2], lines[3] = lines[3], lines[2]
    assert_found(files, DamageKind.REORDERED)
