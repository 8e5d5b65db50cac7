"""Why a strategy may know what it should not: what it reached for, how far ahead it sees, what that usually means."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from trader.domain.units import SECOND_NS
from trader.leaks.findings import Finding, Kind
from trader.leaks.outside import Reach, Touch

READ_BYTES = 1 << 24
NEXT_BARS = 15
SESSION_BARS = 1_400

_DATE = re.compile(rb"(?<!\d)(20\d\d)[-/.]?([01]\d)[-/.]?([0-3]\d)(?!\d)|(?<!\d)([0-3]?\d)[-/.]([0-3]?\d)[-/.](20\d\d)")
_EPOCH = re.compile(rb"(?<!\d)(1\d{9})(?:\d{3}|\d{6}|\d{9})?(?![\d.]\d)")

_OUTLOOK = (
    "decide from the outlook alone: it holds all that is known at the bar's close; keep what you need of earlier bars "
    "in the strategy, and compute from that"
)


def likely_reason(differs: tuple[str, ...], touches: Iterable[Touch], horizon_bars: int) -> tuple[str, str]:
    """Reason and remedy of decisions that change with later bars."""
    if any(part.startswith("features.") for part in differs):
        return (
            "the line's own features changed, which no strategy can bring about",
            "this is a defect of the program: report it with the bars and this finding",
        )
    files = [touch.name for touch in touches if touch.reach in {Reach.BARS, Reach.BARS_UNALTERED}]
    if not files:
        return (
            "it read no file: it finds later bars in the program's memory (gc, frames, modules, the feed)",
            _OUTLOOK,
        )
    if horizon_bars <= NEXT_BARS:
        what = (
            "values of the next bars stand in this bar's row, as by shift(-1), a label of training, or an index that "
            "is one too high"
        )
    elif horizon_bars <= SESSION_BARS:
        what = (
            "a window reaches ahead (centred, or filled backwards), or a longer bar or session is used before it has "
            "closed (resampled with its label on the left, or its close, high, low or total by date)"
        )
    else:
        what = "a figure of the whole file is used: its mean, deviation, extremes, or a model or scaler fitted to it"
    return f"it reads {Path(files[0]).name} itself, and {what}", _OUTLOOK


def outside_findings(
    touches: Iterable[Touch], trusted: tuple[Path, ...], period: tuple[int, int]
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Findings and notes on what was reached for besides the bars; `period` is the first and the last bar's close, UTC.

    A text file that has dates of the period may hold what was known later, and is a finding unless it is `trusted`;
    other files are noted.
    """
    known = {path.resolve() for path in trusted}
    findings: list[Finding] = []
    notes: list[str] = []
    for touch in touches:
        match touch.reach:
            case Reach.BARS:
                continue
            case Reach.FILE if Path(touch.name).resolve() in known:
                notes.append(f"{touch.name} is trusted: nothing in it was altered")
            case Reach.FILE if not _has_dates_of(Path(touch.name), period):
                notes.append(f"it reads {touch.name}, which was not altered: what it says is taken as known beforehand")
            case Reach.FILE:
                findings.append(_outside(f"it reads {touch.name}, which has dates of the bars' own time", _TRUST))
            case Reach.BARS_UNALTERED:
                findings.append(_outside(f"it reads the bars in {touch.name} by a way of its own", _OUTLOOK))
            case Reach.PROGRAM | Reach.NETWORK | Reach.DATABASE:
                findings.append(_outside(f"it uses a {touch.reach.value}: {touch.name}", _OUTLOOK))
    return tuple(findings), tuple(dict.fromkeys(notes))


_TRUST = (
    "compute it in the strategy from the outlook; if it was known before its dates, such as a calendar of "
    "announcements, say so with --trust FILE"
)


def _outside(what: str, remedy: str) -> Finding:
    return Finding(
        kind=Kind.OUTSIDE,
        what=what,
        reason="a file prepared from whole history, or a service asked today, knows what came later",
        remedy=remedy,
    )


def _has_dates_of(path: Path, period: tuple[int, int]) -> bool:
    """Whether a text names a date or an epoch in the period of the bars; False for what is no text."""
    try:
        with path.open("rb") as file:
            text = file.read(READ_BYTES)
    except OSError:
        return False
    if b"\0" in text[:4096]:
        return False
    first_s, last_s = (ns // SECOND_NS for ns in period)
    if any(first_s <= int(found[1]) <= last_s for found in _EPOCH.finditer(text)):
        return True
    first, last = (datetime.fromtimestamp(s, UTC).strftime("%Y%m%d") for s in (first_s, last_s))
    return any(first <= day <= last for found in _DATE.finditer(text) for day in _days(found))


def _days(found: re.Match[bytes]) -> tuple[str, ...]:
    """The days, as 20190705, that a written date can mean."""
    year, month, day, one, two, late_year = (part.decode() if part else "" for part in found.groups())
    if year:
        return (year + month + day,)
    return tuple(f"{late_year}{m:0>2}{d:0>2}" for m, d in ((one, two), (two, one)))
