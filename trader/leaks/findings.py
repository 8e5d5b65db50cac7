"""What a check found: leaks, with both decisions, the likely reason and the remedy, and what it could not prove."""

from enum import StrEnum

import msgspec
from msgspec import Struct


class Kind(StrEnum):
    """What is wrong."""

    FUTURE = "decisions depend on later bars"
    REPEAT = "a second run in the same process decides otherwise"
    ELSEWHERE = "another process at another time decides otherwise"
    OUTSIDE = "decisions may come from data that this check cannot alter"
    START = "a value depends on where the history begins"


class Side(Struct, frozen=True, kw_only=True):
    """What one of two runs did, or gave, at the bar where they part."""

    run: str
    did: str


class Finding(Struct, frozen=True, kw_only=True):
    """One leak. `bar` counts from 0 and closes at `closes`; both None where no bar shows it.

    `differs` names the parts of the record; `horizon_bars` how far ahead it knows, at least, None where not measured.
    """

    kind: Kind
    what: str
    bar: int | None = None
    closes: str | None = None
    sides: tuple[Side, ...] = ()
    differs: tuple[str, ...] = ()
    horizon_bars: int | None = None
    reason: str
    remedy: str

    def text(self) -> str:
        """The finding as a person reads it."""
        rows = [("what", self.what)]
        if self.bar is not None:
            rows.append(("first at", f"bar {self.bar:,}, which closes at {self.closes}"))
        rows += [(side.run, side.did) for side in self.sides]
        if self.differs:
            rows.append(("differs", ", ".join(self.differs)))
        if self.horizon_bars is not None:
            rows.append(("horizon", f"it changes with bars that are {self.horizon_bars:,} or more ahead"))
        rows += [("likely", self.reason), ("remedy", self.remedy)]
        width = max(len(name) for name, _ in rows)
        return "\n".join([f"LEAK: {self.kind.value}", *(f"  {name:<{width}}  {value}" for name, value in rows)])


class Report(Struct, frozen=True, kw_only=True):
    """What came of a check of `bars` bars: `runs` other futures or other beginnings, drawn from `seed`.

    `proposals` other than HOLD were made in the plain run. `notes` say what the check could not prove.
    """

    check: str
    strategy: str
    bars: int
    runs: int
    seed: int
    proposals: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def differing(one: bytes | None, two: bytes | None) -> tuple[str, ...]:
    """The parts of two records that are not equal, such as `rl.action`."""
    if one is None or two is None:
        return ()
    first, second = msgspec.json.decode(one), msgspec.json.decode(two)
    names: list[str] = []
    for key, value in first.items():
        other = second[key]
        if isinstance(value, dict) and isinstance(other, dict):
            names += [f"{key}.{part}" for part in value if value[part] != other.get(part)]
        elif value != other:
            names.append(key)
    return tuple(names)


def text_of(report: Report) -> str:
    """The report as a person reads it."""
    kind = "other futures" if report.check == "lookahead" else "other beginnings"
    head = (
        f"{report.check} {report.strategy}: {report.bars:,} bars, {report.runs} {kind} (seed {report.seed}), "
        f"{report.proposals:,} proposals other than HOLD"
    )
    parts = [head, *(finding.text() for finding in report.findings)]
    parts += [f"note: {note}" for note in report.notes]
    parts.append(f"{len(report.findings)} found" if report.findings else "ok: none found")
    return "\n\n".join(parts) + "\n"
