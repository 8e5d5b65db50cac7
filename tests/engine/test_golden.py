"""The golden journal: a run whose every byte is kept. A change here is a change of what decides or of what is logged.

If it was meant: `python tests/replays.py --golden`, and say why in the commit.
"""

import gzip
from pathlib import Path

import msgspec
import pytest
from replays import GOLDEN, files_of, write_golden_log

from trader.analysis.verify import Status, verify


def golden_files() -> dict[str, bytes]:
    """The kept files, unpacked."""
    return {path.name.removesuffix(".gz"): gzip.decompress(path.read_bytes()) for path in GOLDEN.glob("*.gz")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same run, made now."""
    return files_of(write_golden_log(tmp_path_factory.mktemp("golden")))


def flat(value: object, path: str = "") -> dict[str, object]:
    """Nested values by path: what a person can compare."""
    if isinstance(value, dict):
        return {key: leaf for name, part in value.items() for key, leaf in flat(part, f"{path}.{name}").items()}
    return {path: value}


def difference(kept: bytes, made: bytes) -> dict[str, tuple[object, object]]:
    """The first line that differs, as the fields that do: kept and made."""
    for number, (old, new) in enumerate(zip(kept.splitlines(), made.splitlines(), strict=False), 1):
        if old != new:
            if old[:8] != new[:8]:
                return {f"line {number}": (old[:60], new[:60])}
            before, after = flat(msgspec.json.decode(old)), flat(msgspec.json.decode(new))
            return {
                f"line {number} {key}": (before.get(key), after.get(key))
                for key in before | after
                if before.get(key) != after.get(key)
            }
    return {}


def test_golden_journal_is_written_again_to_the_byte(run: dict[str, bytes]) -> None:
    """Names, lines, hashes, head; on failure the first line that differs is shown by field."""
    kept = golden_files()

    assert sorted(run) == sorted(kept)
    for name in sorted(kept):
        assert difference(kept[name], run[name]) == {}
    assert run == kept


def test_golden_journal_verifies(tmp_path: Path) -> None:
    """What is kept is a whole, closed, unbroken log."""
    for name, content in golden_files().items():
        (tmp_path / name).write_bytes(content)

    report = verify(tmp_path)

    assert (report.status, report.files, report.bars, report.is_head_known) == (Status.INTACT, 6, 517, True)
