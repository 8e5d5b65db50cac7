"""`trader verify` against logs that were damaged in every way: what was done is found, and the right line is named."""

import json
import shutil
import tempfile
from itertools import zip_longest
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_builders import START, Sealer, a_record, log_files, three_days, weekdays, write_files
from msgspec import Struct

from trader.analysis.damage import Damage, DamageKind
from trader.analysis.verify import Status, verify
from trader.chain import Chain, extra
from trader.records import ContinueRecord, EndRecord

Files = dict[str, list[bytes]]

FILES, SEALER = three_days()
NAMES = list(FILES)
PLACES = [(name, index) for name, lines in FILES.items() for index in range(len(lines))]


def checked(files: Files, *, head: bool = True) -> tuple[Status, Damage | None]:
    """What `verify` says of these files; the damage's file without its folder."""
    with tempfile.TemporaryDirectory() as folder:
        report = verify(write_files(Path(folder) / "run", files, SEALER if head else None))
    damage = report.damage
    if damage is not None:
        damage = msgspec.structs.replace(damage, file=Path(damage.file).name)
    return report.status, damage


def first_difference(files: Files) -> tuple[str, int] | None:
    """Name and number of the first line that is not the written one, by comparing with the original."""
    for name in NAMES:
        lines = b"".join(files.get(name, [])).splitlines(keepends=True)
        for number, (line, written) in enumerate(zip_longest(lines, FILES[name]), 1):
            if line != written:
                return name, number
    return None


def copy_of_files() -> Files:
    """The original, to be damaged."""
    return {name: list(lines) for name, lines in FILES.items()}


def assert_found(files: Files, *kinds: DamageKind) -> None:
    """The first line that differs is named, as one of `kinds` if any are given."""
    status, damage = checked(files)
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.file, damage.line) == first_difference(files)
    assert not kinds or damage.kind in kinds


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The undamaged run on disk."""
    return write_files(tmp_path / "run", FILES, SEALER)


def test_verify_untouched_run_is_intact_with_all_counts(run: Path):
    """Twelve bars, an event, and the joining lines prove themselves against the head beside them."""
    report = verify(run)
    assert msgspec.to_builtins(report) == {
        "path": str(run),
        "status": "intact",
        "is_run": True,
        "files": 3,
        "lines": 17,
        "bars": 12,
        "head": SEALER.head,
        "is_head_known": True,
        "damage": None,
    }


def test_verify_lines_hashed_by_hand_are_intact(tmp_path: Path):
    """The hashes below were made with sha256sum from the bytes of the payloads, as the format's text says."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "decisions-2023-01-03.jsonl").write_text(BY_HAND)
    report = verify(folder / "decisions-2023-01-03.jsonl")
    assert (report.status, report.lines, report.bars, report.damage) == (Status.NOT_CLOSED, 2, 0, None)


def test_verify_writer_of_the_program_is_read_as_the_tests_writer():
    """`trader.chain`, which the recorder uses, seals the same bytes as hashlib by hand."""
    chain, sealer = Chain(), Sealer()
    fields: dict[str, object] = {"mode": "replay", "run_id": "r1"}
    for record in (a_record(0), a_record(1)):
        assert chain.seal(b"c", msgspec.json.encode(record), extra(fields)) == sealer.seal(record)


@given(place=st.sampled_from(PLACES), position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_verify_one_byte_changed_anywhere_names_its_line(place: tuple[str, int], position: float, flip: int):
    """Any byte, also one of a key, of `x`, of a hash or a newline, whatever it becomes."""
    files = copy_of_files()
    name, index = place
    line = bytearray(files[name][index])
    line[int(position * len(line))] ^= flip
    files[name][index] = bytes(line)
    assert_found(files)


@given(place=st.sampled_from(PLACES), position=st.floats(0, 1), byte=st.integers(0, 255))
def test_verify_one_byte_inserted_anywhere_names_its_line(place: tuple[str, int], position: float, byte: int):
    """Whitespace that JSON would not mind is damage too."""
    files = copy_of_files()
    name, index = place
    line = files[name][index]
    cut = int(position * len(line))
    files[name][index] = line[:cut] + bytes([byte]) + line[cut:]
    assert_found(files)


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


@pytest.mark.parametrize("bars", range(5))
def test_verify_tail_cut_at_a_line_without_known_head_is_not_closed(bars: int):
    """Nothing contradicts itself, but nothing says either that it is all."""
    files = {NAMES[0]: FILES[NAMES[0]][: bars + 1]}
    assert checked(files, head=False) == (Status.NOT_CLOSED, None)


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


def written_in_order(*files: list[Struct]) -> Files:
    """Records sealed one after the other, each in the file where it is put: every link holds."""
    sealer = Sealer()
    return {name: [sealer.seal(record) for record in records] for name, records in zip(NAMES, files, strict=False)}


GOES_ON = ContinueRecord(previous_file=NAMES[0], head="0" * 64)


@pytest.mark.parametrize(
    ("files", "place", "said"),
    [
        pytest.param(written_in_order([a_record()]), (0, 1), "cannot stand here", id="a bar first"),
        pytest.param(written_in_order([START, START]), (0, 2), "cannot stand here", id="two starts"),
        pytest.param(written_in_order([GOES_ON]), (0, 1), "a run begins with `start`", id="a run that goes on"),
        pytest.param(written_in_order([START], [START]), (1, 1), "its later files with `continue`", id="start again"),
        pytest.param(written_in_order([START], [GOES_ON]), (1, 1), "the head that it states", id="another head"),
    ],
)
def test_verify_line_in_a_place_where_none_of_its_kind_belongs_is_named(
    files: Files, place: tuple[int, int], said: str
):
    """A chain that holds is not enough: a log begins once, and goes on from what was there."""
    status, damage = checked(files, head=False)
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.file, damage.line) == (NAMES[place[0]], place[1])
    assert said in damage.what


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"c":', b'{ "c":'),
        (b'{"c":', b'{"c": '),
        (b'{"c":', b'{"\\u0063":'),
        (b',"x":', b' ,"x":'),
        (b'"x":{', b'"x": {'),
        (b'},"hash":"', b'}, "hash":"'),
        (b'},"hash":"', b'},"hash":"00","hash":"'),
        (b'"}\n', b'" }\n'),
        (b'"}\n', b'"} \n'),
        (b'"}\n', b'"}\r\n'),
    ],
)
def test_verify_line_laid_out_otherwise_is_changed(old: bytes, new: bytes):
    """The same JSON in other bytes: its values prove themselves, the file was written by somebody else."""
    files = copy_of_files()
    line = files[NAMES[1]][3]
    assert line.count(old) == 1
    files[NAMES[1]][3] = line.replace(old, new)
    assert_found(files, DamageKind.CHANGED)


def test_verify_lines_beyond_the_known_head_are_named(run: Path):
    """The kept head is an earlier line's: what follows was added."""
    head = json.loads(FILES[NAMES[2]][3])["hash"]
    (run / "head.json").write_text(json.dumps({"lines": SEALER.lines - 2, "hash": head}))
    damage = verify(run).damage
    assert damage is not None
    assert (damage.kind, Path(damage.file).name, damage.line) == (DamageKind.INSERTED, NAMES[2], 5)


def test_verify_shorter_log_with_its_own_hashes_is_cut_against_the_known_head():
    """A whole log that proves itself, but has fewer lines than were written."""
    shorter, _ = log_files([(session, [a_record(seq, session=session)]) for seq, session in enumerate(weekdays(3))])
    status, damage = checked(shorter)
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.kind, damage.file, damage.line) == (DamageKind.CUT, NAMES[2], 4)


def test_verify_rewritten_log_contradicts_the_known_head():
    """All its hashes hold and it has the right number of lines, but its head is not the one that was kept."""
    bars = {NAMES[0]: range(4), NAMES[1]: range(4, 9), NAMES[2]: range(9, 13)}
    days = [(name[10:20], [a_record(seq, session=name[10:20]) for seq in seqs]) for name, seqs in bars.items()]
    rewritten, sealer = log_files(days)
    assert sealer.lines == SEALER.lines
    status, damage = checked(rewritten)
    assert status is Status.DAMAGED
    assert damage is not None
    assert (damage.kind, damage.file, damage.line) == (DamageKind.CHANGED, NAMES[2], 6)


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


@pytest.mark.parametrize(("old", "new", "said"), [(b'"BUY"', b'"BUT"', "content"), (b'"hash":"', b'"hash":"0', "")])
def test_verify_changed_line_is_called_changed(old: bytes, new: bytes, said: str):
    """A word in a record, and a hash that grew."""
    rl = msgspec.structs.replace(a_record().rl, action="BUY")
    files, sealer = log_files([("2023-01-10", [a_record(0), a_record(1, rl=rl), a_record(2)])])
    lines = next(iter(files.values()))
    lines[2] = lines[2].replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        damage = verify(write_files(Path(folder), files, sealer)).damage
    assert damage is not None
    assert (damage.kind, damage.line) == (DamageKind.CHANGED, 3)
    assert said in damage.what


def test_verify_hash_alone_changed_says_that_the_content_stands():
    """The next line still follows from the content."""
    files = copy_of_files()
    line = files[NAMES[0]][1]
    digit = line[-4:-3]
    files[NAMES[0]][1] = line[:-4] + (b"0" if digit != b"0" else b"1") + line[-3:]
    _, damage = checked(files)
    assert damage is not None
    assert damage.what == "its hash was changed, its content was not"


def test_verify_end_that_miscounts_is_damage(run: Path):
    """An `end` line that proves itself but says that there was a bar more: a writer's error is found as well."""
    records = [a_record(0), a_record(1)]
    files, sealer = log_files([("2023-01-10", records)], closed=False)
    name = next(iter(files))
    end = msgspec.json.decode(json.dumps(json.loads(FILES[NAMES[2]][-1])["end"]), type=EndRecord)
    files[name].append(sealer.seal(msgspec.structs.replace(end, bars=3, lines=4)))
    shutil.rmtree(run)
    damage = verify(write_files(run, files, sealer)).damage
    assert damage is not None
    assert (damage.line, damage.what) == (4, "it counts 3 bars in 4 lines, here are 2 in 4")


@pytest.mark.parametrize(
    "text", ["", "{}", '{"lines":17}', "17 abc", '{"lines":"17","hash":"00"}', '{"lines":17,"hash":"00","more":1}']
)
def test_verify_damaged_head_file_is_named(run: Path, text: str):
    """The kept head is evidence: one that cannot be read is not passed over."""
    (run / "head.json").write_text(text)
    damage = verify(run).damage
    assert damage is not None
    assert Path(damage.file).name == "head.json"


def test_verify_head_file_of_another_hash_is_found(run: Path):
    """The log proves itself, the head says otherwise: one of the two was changed."""
    (run / "head.json").write_text(json.dumps({"lines": SEALER.lines, "hash": "0" * 64}))
    damage = verify(run).damage
    assert damage is not None
    assert (Path(damage.file).name, damage.line) == (NAMES[2], 6)


BY_HAND = (
    '{"continue":{"previous_file":"decisions-2023-01-02.jsonl","head":"00"},"x":{"mode":"live","sha256":'
    '"a08d0e2ee4b82ee179ccfb842991fdb5cb1b337756f1f3c699d4c5926e5b16c3"},'
    '"hash":"edfad4e5c6e29f500c6f7208a89b18e4f3dd93a19a39a457bd5d2f0146dafdc6"}\n'
    '{"e":{"kind":"pause","from_bar":7,"detail":{}},"x":{"sha256":'
    '"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},'
    '"hash":"36e5c27a3e8e2823069ae1923077c9cc668b2f63f5f1727bdbfb2bad8c4a3b8c"}\n'
)
