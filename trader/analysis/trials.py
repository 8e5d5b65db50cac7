"""The trials file: every evaluation on the same instrument and dates adds a line, so that luck can be reckoned with.

JSON lines, one file for an index (NQ and MNQ are one) and a span of sessions. The best of many trials looks good by
luck; how good is told by their number and the spread of their Sharpe ratios (`trader.analysis.sharpe`).
"""

import os
import re
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from trader.domain.instruments import index_symbol
from trader.errors import InputError

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d{4}-\d{2}-\d{2})\.jsonl")
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Occasion(StrEnum):
    """What made a trial."""

    EVALUATION = "evaluation"
    WALK_FORWARD = "walk_forward"


class Trial(Struct, frozen=True, kw_only=True):
    """One look at the dates. `subject` is a bundle's SHA-256 or a strategy's name, `config` the hash of what decides.

    `sharpe_session` is of daily net USD, per session and not annualised, None where it has no meaning. `made_utc` is
    when.
    """

    made_utc: str
    occasion: Occasion
    subject: str
    config: str
    sharpe_session: float | None
    sessions: int


class Scope(Struct, frozen=True, kw_only=True):
    """What a trials file is about: an instrument and the dates of the first and last session, synthetic or real."""

    market: str
    first_session: str
    last_session: str
    is_synthetic: bool

    @property
    def stem(self) -> str:
        """How the names of the files of this instrument begin, whatever their dates."""
        return f"trials-{'synthetic-' if self.is_synthetic else ''}{index_symbol(self.market)}-"

    @property
    def file_name(self) -> str:
        """Such as `trials-NQ-2022-01-03-2022-12-30.jsonl`."""
        return f"{self.stem}{self.first_session}-{self.last_session}.jsonl"


class Trials(Struct, frozen=True, kw_only=True):
    """What a trials file holds: the last trial of each subject and configuration, as the same thing looked at twice
    is one trial; and the lines, from 1, that could not be read."""

    path: Path
    distinct: tuple[Trial, ...]
    damaged_lines: tuple[int, ...]

    @property
    def sharpes_session(self) -> tuple[float | None, ...]:
        """The trials' Sharpe ratios, one each."""
        return tuple(trial.sharpe_session for trial in self.distinct)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the file, in sentences."""
        if not self.damaged_lines:
            return ()
        lines = ", ".join(str(number) for number in self.damaged_lines)
        return (f"{self.path.name}: line {lines} cannot be read and is not counted; a trial may be missing",)


def read_trials(folder: Path, scope: Scope) -> Trials:
    """The trials of exactly these dates; none where there is no file. InputError where it cannot be read."""
    return _parsed(folder / scope.file_name)


def record_trial(folder: Path, scope: Scope, trial: Trial) -> Trials:
    """Append `trial` and give all of them, this one included.

    The line goes out in one write to the end of the file, so lines of evaluations that run at the same time do not
    mix; a line that was cut off by a crash stays by itself. InputError where the folder cannot be written.
    """
    path = folder / scope.file_name
    line = msgspec.json.encode(trial) + b"\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _append(path, line)
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}); choose another folder with --set state.dir=FOLDER"
        raise InputError(msg) from error
    return _parsed(path)


def overlapping_trials(folder: Path, scope: Scope) -> int:
    """How many distinct trials there are on other dates that overlap these: they looked at the same sessions."""
    count = 0
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unreadable(folder, error) from error
    for name in names:
        dates = _NAME.fullmatch(name.removeprefix(scope.stem)) if name.startswith(scope.stem) else None
        if dates is None or name == scope.file_name:
            continue
        if dates[1] <= scope.last_session and scope.first_session <= dates[2]:
            count += len(_parsed(folder / name).distinct)
    return count


def _append(path: Path, line: bytes) -> None:
    with path.open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        written = file.write(line)
        if written != len(line):
            raise OSError(0, f"{written} of {len(line)} bytes were written")
        os.fsync(file.fileno())


def _parsed(path: Path) -> Trials:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise _unreadable(path, error) from error
    distinct: dict[tuple[str, str], Trial] = {}
    damaged = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            trial = msgspec.json.decode(line, type=Trial)
        except _UNDECODABLE:
            damaged.append(number)
        else:
            distinct[trial.subject, trial.config] = trial
    return Trials(path=path, distinct=tuple(distinct.values()), damaged_lines=tuple(damaged))


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror}); check its permissions")
