"""A log of three days, to be damaged: where a copy differs, and what `trader verify` says of it."""

import tempfile
from itertools import zip_longest
from pathlib import Path

import msgspec
from log_builders import three_days, write_files

from trader.analysis.damage import Damage, DamageKind
from trader.analysis.verify import Status, verify

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
