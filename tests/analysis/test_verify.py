"""`trader verify` of logs whose links all hold: what is intact, and what is no log of this program all the same."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from damaged_logs import FILES, NAMES, SEALER, Files, checked
from log_builders import START, Sealer, a_record, log_files, write_files
from msgspec import Struct

from trader.analysis.verify import Status, verify
from trader.chain import Chain, extra
from trader.records import ContinueRecord, EndRecord


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


BY_HAND = (
    '{"continue":{"previous_file":"decisions-2023-01-02.jsonl","head":"00"},"x":{"mode":"live","sha256":'
    '"a08d0e2ee4b82ee179ccfb842991fdb5cb1b337756f1f3c699d4c5926e5b16c3"},'
    '"hash":"edfad4e5c6e29f500c6f7208a89b18e4f3dd93a19a39a457bd5d2f0146dafdc6"}\n'
    '{"e":{"kind":"pause","from_bar":7,"detail":{}},"x":{"sha256":'
    '"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},'
    '"hash":"36e5c27a3e8e2823069ae1923077c9cc668b2f63f5f1727bdbfb2bad8c4a3b8c"}\n'
)
