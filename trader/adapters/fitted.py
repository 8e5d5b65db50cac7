"""The result of `trader advisor fit`: what calibration and fusion begin with, and the dates that it was found on."""

import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from trader.adapters.recording_file import Head
from trader.advisor.calibration import CalibrationState
from trader.advisor.hedge import REGIMES
from trader.analysis.fit import Tried, Worth
from trader.domain.actions import ACTION_COUNT
from trader.errors import InputError
from trader.learning import Thresholds

VERSION = 1
_UNREADABLE = (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError)


class Fitted(Struct, frozen=True, kw_only=True):
    """What was fitted, to whose answers (`head`), and on what: it knows nothing of other models, markets and prompts.

    `last_session` (YYYY-MM-DD) is the last date that it has seen: results up to there are in-sample. `thresholds` are
    by regime (-1, 0, 1); `before` and `after` are what the bounds in force and the ones found came to on these very
    dates, `tried` is everything in between. The run `before` has taught the calibration.
    """

    version: int = VERSION
    head: Head
    market: str
    bars_source: str
    bars_sha256: str
    first_session: str
    last_session: str
    strategy: str
    calibration: CalibrationState
    thresholds: dict[int, Thresholds]
    before: Worth
    after: Worth
    tried: tuple[Tried, ...]

    @property
    def sha256(self) -> str:
        """What it is known by (hex)."""
        return hashlib.sha256(_encoded(self)).hexdigest()


def load_fitted(path: Path) -> Fitted:
    """The result in `path`; InputError says what is wrong with it and what to do."""
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"advisor.calibration.fitted: {path} cannot be read ({error.strerror}); make it with `trader advisor fit`"
        raise InputError(msg) from error
    try:
        fitted = msgspec.json.decode(content, type=Fitted)
    except _UNREADABLE as error:
        msg = f"advisor.calibration.fitted: {path} is no result of `trader advisor fit` ({error}); make it anew"
        raise InputError(msg) from error
    fault = _fault(fitted)
    if fault is not None:
        msg = f"advisor.calibration.fitted: {path} cannot be used: {fault}; make it anew with `trader advisor fit`"
        raise InputError(msg)
    return fitted


def check_writable(path: Path) -> None:
    """InputError where a result could not be written there: better said before the work than after it."""
    part = _part_of(path)
    _write(path, part, b"")
    part.unlink()


def write_fitted(path: Path, fitted: Fitted) -> None:
    """Write it whole or not at all; InputError where it cannot be written."""
    part = _part_of(path)
    _write(path, part, msgspec.json.format(_encoded(fitted), indent=1) + b"\n")
    part.replace(path)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _write(path: Path, part: Path, content: bytes) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}); choose another file with --out"
        raise InputError(msg) from error


def _encoded(fitted: Fitted) -> bytes:
    return msgspec.json.encode(fitted)


def _fault(fitted: Fitted) -> str | None:
    if fitted.version != VERSION:
        return f"it has version {fitted.version}, this program reads version {VERSION}"
    if set(fitted.thresholds) != set(REGIMES):
        return f"thresholds has the regimes {sorted(fitted.thresholds)}, not {sorted(REGIMES)}"
    for regime, bounds in fitted.thresholds.items():
        if not (0 <= bounds.override_high <= 1 and 0 <= bounds.uncertain_below <= 1):
            return f"thresholds of regime {regime} are no probabilities: {bounds}"
    states = fitted.calibration
    if len(states.calibrators) != ACTION_COUNT or len(states.rates) != ACTION_COUNT:
        return f"calibration is not that of {ACTION_COUNT} actions"
    if not fitted.first_session <= fitted.last_session:
        return f"it was fitted from {fitted.first_session} to {fitted.last_session}, which is no period"
    return None
