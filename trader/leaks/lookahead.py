"""`trader check lookahead`: decisions at bar t stay as they are, byte for byte, whatever comes after t.

The line is run over the bars as they are; then again and again, each time with everything after one bar replaced by
another future. The canonical records up to that bar must be equal. Cuts lie where the strategy proposed something,
which is where it shows whether it knew, and at bars drawn with a seed.
"""

import importlib
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.files.facts import FileFacts
from trader.app import BarsFacts
from trader.clock_text import utc_text
from trader.domain.instruments import instrument
from trader.errors import InputError, StrategyError
from trader.leaks.apart import Apart, each
from trader.leaks.bar_file import BarFile
from trader.leaks.cell import Case, Job, Outcome, run_line
from trader.leaks.changes import Change, Future
from trader.leaks.evidence import likely_reason, outside_findings
from trader.leaks.findings import Finding, Kind, Report, Side, differing
from trader.leaks.outside import Touch
from trader.leaks.packed import Advances, Meter, Packed
from trader.leaks.trail import Trail
from trader.observation import FULL_SIZE, first_full
from trader.settings import Settings

FUTURES = tuple(Future)
HORIZONS = (1, 15, 240, 1_380, 6_900)
"""Bars ahead from which on the future is altered, to find out how far a strategy that knows it can see."""
BARS_TO_CUT = 200
"""Bars beyond the features' look-back that are needed at least: there is something to cut."""


class Question(Struct, frozen=True, kw_only=True):
    """What is checked: the line of `settings` on bars that `facts` describes; `file` is what they were read from.

    `trusted` are data files of the strategy's that are known in advance, such as a calendar of announcements.
    `elsewhere`: run in a new process as well, which takes a second or two to begin.
    """

    settings: Settings
    facts: BarsFacts
    file: FileFacts | None
    cuts: int
    seed: int
    trusted: tuple[Path, ...] = ()
    elsewhere: bool = True


def require_bars(facts: BarsFacts, bars: Packed) -> None:
    """InputError where there are too few bars to say anything."""
    needed = first_full(FULL_SIZE, facts.bar_minutes) + BARS_TO_CUT
    if bars.count < needed:
        msg = (
            f"{facts.source} has {bars.count:,} bars in the range; a look-ahead check needs {needed:,}: the features' "
            f"longest look-back and {BARS_TO_CUT} bars to cut at; give more bars"
        )
        raise InputError(msg)


def check_lookahead(question: Question, bars: Packed, meter: Meter) -> Report:
    """Run the check. InputError where there are too few bars, StrategyError where the plain run fails.

    `meter` shows how far it is.
    """
    require_bars(question.facts, bars)
    check = _Check(question, bars)
    with meter("plain runs", 2 * bars.count) as progress:
        findings = check.repeated(progress)
    cuts = () if findings else check.cuts()  # what is not repeatable differs everywhere, and proves nothing more
    with meter("other futures", sum(change.cut for change in cuts)) as progress:
        check.alter(cuts, progress)
    findings = (*findings, *check.future())
    if not findings and question.elsewhere:
        with meter("another process", bars.count) as progress:
            findings = check.elsewhere(progress)
    return check.report(findings, len(cuts))


class _Difference(Struct, frozen=True, kw_only=True):
    """Bar `bar` was decided otherwise before `change` began."""

    bar: int
    change: Change
    trail: Trail
    error: str | None


class _Other(Struct, frozen=True):
    """A run that is not the plain one: its name, what it did, and the error on which it ended."""

    name: str
    trail: Trail
    error: str | None


class _Check:
    """One check under way: the plain run first, then everything that is compared with it."""

    def __init__(self, question: Question, bars: Packed) -> None:
        self._question = question
        self._bars = bars
        self._tick = instrument(question.settings.market).tick
        file = None if question.file is None else Path(question.file.path)
        self._case = Case(settings=question.settings, facts=question.facts, bars=bars.data, tick=self._tick, file=file)
        self._base = Trail(digests=b"", choices=b"", records={}, active=(), ready_from=0)
        self._touches: dict[Touch, None] = {}
        self._differences: list[_Difference] = []
        self._altered = 0

    def repeated(self, progress: Advances) -> tuple[Finding, ...]:
        """The plain run, and once more in the same process."""
        count = self._bars.count
        plain = self._run(Job(until=count - 1, repeats=2), progress)
        if plain.error is not None:
            raise StrategyError(plain.error)
        if "pandas" in plain.libraries:
            importlib.import_module("pandas")  # once here instead of once in every run
        self._base = plain.trails[0]
        at = self._base.first_difference(plain.trails[1], count)
        if at is None:
            return ()
        job = Job(until=count - 1, repeats=2, shown=(at,))
        return (self._parted(Kind.REPEAT, at, _Other("in a second run", plain.trails[1], plain.error), job),)

    def elsewhere(self, progress: Advances) -> tuple[Finding, ...]:
        """The plain run in a new process, of another hash seed and with another clock."""
        count = self._bars.count
        outcome = self._run(Job(until=count - 1, elsewhere=True), progress)
        at = self._base.first_difference(outcome.trails[0], count)
        if at is None:
            return ()
        job = Job(until=at, elsewhere=True, shown=(at,))
        return (self._parted(Kind.ELSEWHERE, at, _Other("in another process", outcome.trails[0], outcome.error), job),)

    def cuts(self) -> tuple[Change, ...]:
        """Half of them where something was proposed, as far as that goes, the others anywhere; each future in turn."""
        question = self._question
        rng = np.random.default_rng(question.seed)
        last = self._bars.count - 2
        first = min(self._base.ready_from, last - 1)
        signals = np.array([bar for bar in self._base.active if first <= bar <= last], dtype=np.int64)
        chosen = rng.permutation(signals)[: question.cuts // 2].tolist()
        chosen += rng.integers(first, last + 1, question.cuts - len(chosen)).tolist()
        return tuple(
            Change(cut=cut, future=FUTURES[nth % len(FUTURES)], seed=question.seed) for nth, cut in enumerate(chosen)
        )

    def alter(self, changes: tuple[Change, ...], progress: Advances) -> None:
        """Run with other futures, and note whether anything before them is decided otherwise."""
        outcomes = each(run_line, ((self._case, self._job(change)) for change in changes))
        for change, outcome in zip(changes, outcomes, strict=True):
            self._altered += 1
            progress.advance(change.cut)
            found = self._difference(change, change.cut, outcome)
            if found is not None:
                self._differences.append(found)

    def future(self) -> tuple[Finding, ...]:
        """The earliest decision that a later bar has changed."""
        if not self._differences:
            return ()
        first = min(self._differences, key=lambda difference: difference.bar)
        change, at = first.change, first.bar
        horizon = max(self._horizon(change, at), change.cut + 1 - at)
        job = replace(self._job(change), until=change.cut, shown=(at,))
        name = f"with {change.future.value} after bar {change.cut:,}"
        found = self._parted(Kind.FUTURE, at, _Other(name, first.trail, first.error), job)
        reason, remedy = likely_reason(found.differs, self._touches, horizon)
        what = f"{len(self._differences)} of {self._altered} altered futures changed a decision that came before them"
        return (replace(found, what=what, horizon_bars=horizon, reason=reason, remedy=remedy),)

    def report(self, findings: tuple[Finding, ...], cuts: int) -> Report:
        """Everything that was found, besides the differences what the strategy reached for."""
        first, last = self._bars.period
        outside, notes = outside_findings(self._touches, self._question.trusted, (first, last))
        if not self._base.active:
            notes = ("it proposed nothing but HOLD: there was no decision that a later bar could have changed", *notes)
        return Report(
            check="lookahead",
            strategy=self._question.settings.strategy.name,
            bars=self._bars.count,
            runs=cuts,
            seed=self._question.seed,
            proposals=len(self._base.active),
            findings=(*findings, *outside),
            notes=notes,
        )

    def _run(self, job: Job, progress: Advances | None = None) -> Outcome:
        outcome = Apart(run_line, (self._case, job), elsewhere=job.elsewhere).result()
        self._touches |= dict.fromkeys(outcome.touches)
        if progress is not None:
            progress.advance((job.until + 1) * job.repeats)
        return outcome

    def _job(self, change: Change) -> Job:
        return Job(until=change.cut, change=change, file=self._file(change.cut))

    def _file(self, cut: int) -> BarFile | None:
        if self._question.file is None or not Path(self._question.file.path).is_file():
            return None
        open_ns, close_ns, close = self._bars.at(cut)
        return BarFile(facts=self._question.file, tick=self._tick, open_ns=open_ns, close_ns=close_ns, close=close)

    def _difference(self, change: Change, until: int, outcome: Outcome) -> _Difference | None:
        """The first bar up to `until` that was decided otherwise, as bars after `change.cut` are."""
        self._touches |= dict.fromkeys(outcome.touches)
        bar = self._base.first_difference(outcome.trails[0], until + 1)
        return (
            None if bar is None else _Difference(bar=bar, change=change, trail=outcome.trails[0], error=outcome.error)
        )

    def _horizon(self, change: Change, at: int) -> int:
        """How many bars ahead of a changed decision the nearest altered bar may lie, as far as was tried."""
        seen = 0
        for ahead in HORIZONS:
            cut = at + ahead
            if cut >= self._bars.count - 1:
                break
            later = replace(change, cut=cut)
            outcome = self._run(replace(self._job(later), until=at))
            if self._difference(later, at, outcome) is None:
                break
            seen = ahead + 1
        return seen

    def _parted(self, kind: Kind, at: int, other: _Other, job: Job) -> Finding:
        """The plain run and another one part at bar `at`; both are run again, the other as `job`, to be compared."""
        plain = self._run(Job(until=at, shown=(at,))).trails[0].records.get(at)
        again = self._run(job).trails[-1].records.get(at)
        failed = f"no decision: {other.error or 'the run had ended'}"
        reason, remedy = _REASONS[kind]
        return Finding(
            kind=kind,
            what=kind.value,
            bar=at,
            closes=utc_text(self._bars.at(at)[1]),
            sides=(
                Side(run="as they are", did=self._base.did(at) or failed),
                Side(run=other.name, did=other.trail.did(at) or failed),
            ),
            differs=differing(plain, again),
            reason=reason,
            remedy=remedy,
        )


_REASONS = {
    Kind.FUTURE: ("", ""),
    Kind.REPEAT: (
        "it keeps something from one run to the next: a module's variable, a class's attribute, a cache, a file",
        "keep what a run needs in the strategy's instance, made in __init__",
    ),
    Kind.ELSEWHERE: (
        "it uses the wall clock, randomness without a seed, the order of a set, or a file that an earlier run wrote",
        "take times from outlook.bar and outlook.session, and random numbers from a generator with a seed of its own",
    ),
}
