"""`trader verify` against the head that is kept beside a run: what was cut, added or written again is found."""

import json
from pathlib import Path

import pytest
from damaged_logs import FILES, NAMES, SEALER, checked
from log_builders import a_record, log_files, weekdays

from trader.analysis.damage import DamageKind
from trader.analysis.verify import Status, verify


@pytest.mark.parametrize("bars", range(5))
def test_verify_tail_cut_at_a_line_without_known_head_is_not_closed(bars: int):
    """Nothing contradicts itself, but nothing says either that it is all."""
    files = {NAMES[0]: FILES[NAMES[0]][: bars + 1]}
    assert checked(files, head=False) == (Status.NOT_CLOSED, None)


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
