"""`trader check recursive`: a value at bar t does not depend on where the history begins, once it has settled.

The bars are gone through from the first on, and again from later beginnings. Beyond its `settled` bars (the table of
`trader.observation`) each feature must be within 1e-3 of its clip of what the long history gives, and the strategy must
propose the same. Nothing is entered meanwhile, so that the account is the same in all runs.
"""

import asyncio
import pickle
import tempfile
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from strategies.ppo import Ppo
from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.adapters.strategy_loader import load_strategy
from trader.app import BarsFacts, assemble, open_bundle
from trader.clock_text import utc_text
from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import Proposal
from trader.domain.sessions import Calendar
from trader.errors import InputError, StrategyError
from trader.leaks.apart import each
from trader.leaks.findings import Finding, Kind, Report, Side
from trader.leaks.packed import Meter, Packed
from trader.observation import FEATURES, FULL_SIZE, Feature, Group, first_full, settled
from trader.outlook import Outlook
from trader.ports import Strategy
from trader.settings import Settings

BOUND = 1e-3
"""Of its clip: how much a beginning may still move a settled feature."""
BARS_TO_COMPARE = 500
PROBABLY_EQUAL = 0.01
"""By how much a probability may differ: features that differ within their bound move a network a little."""
SHARE_AT_BOUNDS = 0.01
"""Of the bars at which something was proposed: so many may flip, where a rule's threshold meets a feature's bound."""
FEATURES_SHOWN = 10

Numbers = NDArray[np.float32]


class Beginning(Struct, frozen=True, kw_only=True):
    """One run: the strategy of `settings` on the bars from `start` on; what it saw and proposed goes to `file`."""

    settings: Settings
    facts: BarsFacts
    bars: bytes
    start: int
    file: Path


class Seen(Struct, frozen=True, kw_only=True):
    """A run from bar `start` on, a row a bar: `obs` [n, 261], `proposals` [n, 8] action, confidence, six probabilities
    (nan where none were given)."""

    start: int
    obs: Numbers
    proposals: Numbers


class _Onlooker:
    """Asks the strategy and notes its answer, and holds: the account stays as it began."""

    def __init__(self, strategy: Strategy, count: int) -> None:
        self._strategy = strategy
        self._at = 0
        self.obs = np.empty((count, FULL_SIZE), dtype=np.float32)
        self.proposals = np.full((count, 2 + len(ACTIONS)), np.nan, dtype=np.float32)

    def propose(self, outlook: Outlook) -> Proposal:
        """HOLD, with the confidence that the strategy has in its own choice."""
        proposal = self._strategy.propose(outlook)
        self.obs[self._at] = outlook.obs
        row = self.proposals[self._at]
        row[0], row[1] = proposal.action, proposal.confidence
        if proposal.probs is not None:
            row[2:] = proposal.probs
        self._at += 1
        return Proposal(Action.HOLD, 1.0)


def observe(beginning: Beginning) -> str | None:
    """Go through the bars from a beginning on; returns the error on which the strategy failed, if it did."""
    settings = beginning.settings
    columns: BarColumns = pickle.loads(beginning.bars)  # noqa: S301 -- our own parent's
    columns = columns.rows(beginning.start, len(columns))
    onlooker = _Onlooker(_strategy(settings, beginning.facts), len(columns))
    made = assemble(settings, beginning.facts, log=None, strategy=onlooker)
    made.engine.controls.reconciled()
    error = None
    try:
        asyncio.run(made.engine.run(ReplayFeed([columns])))
    except StrategyError as failure:
        error = str(failure)
    np.savez(beginning.file, obs=onlooker.obs, proposals=onlooker.proposals)
    return error


def _strategy(settings: Settings, facts: BarsFacts) -> Strategy:
    if settings.strategy.name == "ppo":
        return Ppo(open_bundle(settings, Calendar.load(), facts))
    return load_strategy(settings.strategy.name, settings.strategy.options)[0]


class Asked(Struct, frozen=True, kw_only=True):
    """What is checked: the strategy of `settings` and the features, from `runs` later beginnings, drawn from `seed`."""

    settings: Settings
    facts: BarsFacts
    runs: int
    seed: int


def require_bars(facts: BarsFacts, bars: Packed) -> int:
    """How many bars later a history may begin; InputError where there are too few for the longest memory."""
    memory = _memory(facts)
    spare = bars.count - memory - BARS_TO_COMPARE
    if spare < 1:
        msg = (
            f"{facts.source} has {bars.count:,} bars in the range; a check of beginnings needs "
            f"{memory + BARS_TO_COMPARE + 1:,}: {memory:,} until the slowest feature has settled, and "
            f"{BARS_TO_COMPARE} to compare; give more bars"
        )
        raise InputError(msg)
    return spare


def _memory(facts: BarsFacts) -> int:
    return settled(FULL_SIZE, facts.bar_minutes)


def check_recursive(asked: Asked, bars: Packed, meter: Meter) -> Report:
    """Run the check. InputError where there are too few bars for the longest memory, StrategyError where the strategy
    fails."""
    spare = require_bars(asked.facts, bars)
    starts = np.unique(np.random.default_rng(asked.seed).integers(1, spare + 1, asked.runs)).tolist()
    with tempfile.TemporaryDirectory(prefix="trader-leaks-") as folder:
        beginnings = [
            Beginning(
                settings=asked.settings,
                facts=asked.facts,
                bars=bars.data,
                start=start,
                file=Path(folder) / f"{start}.npz",
            )
            for start in (0, *starts)
        ]
        comparison = _Comparison(asked, bars)
        with meter("beginnings", sum(bars.count - start for start in (0, *starts))) as progress:
            for beginning, error in zip(beginnings, each(observe, beginnings), strict=True):
                progress.advance(bars.count - beginning.start)
                comparison.take(_load(beginning), error)
    return comparison.report()


def _load(beginning: Beginning) -> Seen:
    with np.load(beginning.file) as arrays:
        return Seen(start=beginning.start, obs=arrays["obs"], proposals=arrays["proposals"])


def _settled(feature: Feature, bar_minutes: int) -> int:
    """Bars until a beginning no longer matters; the account's features are equal once entries are allowed in both."""
    if feature.group in {Group.POSITION, Group.RISK}:
        return first_full(FULL_SIZE, bar_minutes)
    return feature.settled(bar_minutes)


_CLIP = np.array([max(abs(feature.low), abs(feature.high)) for feature in FEATURES], dtype=np.float32)


class _Drift(Struct, frozen=True, kw_only=True):
    """A feature that a beginning still moves: by how much of its clip at worst, and where it first does."""

    feature: int
    share: float
    bar: int
    start: int
    long: float
    short: float
    last_age: int


class _Comparison:
    """Collects differences between the run over all bars, which comes first, and those from later beginnings."""

    def __init__(self, asked: Asked, bars: Packed) -> None:
        self._asked = asked
        self._bars = bars
        self._memory = _memory(asked.facts)
        self._settled = np.array([_settled(feature, asked.facts.bar_minutes) for feature in FEATURES])
        self._base: Seen | None = None
        self._runs = 0
        self._drifts: dict[int, _Drift] = {}
        self._compared = self._proposed = self._flipped = self._last_age = 0
        self._flip: tuple[int, Numbers, Numbers, int] | None = None

    def take(self, seen: Seen, error: str | None) -> None:
        """Another run; StrategyError where the strategy failed in it."""
        if error is not None:
            msg = f"with bars from bar {seen.start:,} on: {error}"
            raise StrategyError(msg)
        if self._base is None:
            self._base = seen
            return
        self._runs += 1
        self._take_features(self._base, seen)
        self._take_proposals(self._base, seen)

    def report(self) -> Report:
        """What was found, the worst feature first."""
        drifts = sorted(self._drifts.values(), key=lambda drift: -drift.share)
        findings = [self._feature_finding(drift) for drift in drifts[:FEATURES_SHOWN]]
        notes = []
        if len(drifts) > FEATURES_SHOWN:
            notes.append(f"{len(drifts) - FEATURES_SHOWN} more features drift")
        if self._flip is not None:
            text = (
                f"{self._flipped:,} of {self._compared:,} proposals differ {self._memory:,} or more bars after a "
                f"beginning, the last one {self._last_age:,} bars after it; {self._proposed:,} were other than HOLD"
            )
            if self._flipped > SHARE_AT_BOUNDS * self._proposed:
                findings.append(self._strategy_finding(text, self._flip))
            else:
                notes.append(f"{text}: as few as features within their bounds can bring about")
        if not self._proposed:
            notes.append("it proposed nothing but HOLD: only features were compared")
        return Report(
            check="recursive",
            strategy=self._asked.settings.strategy.name,
            bars=self._bars.count,
            runs=self._runs,
            seed=self._asked.seed,
            proposals=self._proposed,
            findings=tuple(findings),
            notes=tuple(notes),
        )

    def _take_features(self, base: Seen, seen: Seen) -> None:
        long = base.obs[seen.start :]
        shares = np.abs(seen.obs - long) / _CLIP
        ages = np.arange(1, len(shares) + 1)[:, None]
        off = (shares > BOUND) & (ages >= self._settled)
        for feature in np.flatnonzero(off.any(axis=0)).tolist():
            at = np.flatnonzero(off[:, feature])
            worst = float(shares[at, feature].max())
            known = self._drifts.get(feature)
            if known is None or worst > known.share:
                first = int(at[0])
                self._drifts[feature] = _Drift(
                    feature=feature,
                    share=worst,
                    bar=seen.start + first,
                    start=seen.start,
                    long=float(long[first, feature]),
                    short=float(seen.obs[first, feature]),
                    last_age=int(at[-1]) + 1,
                )

    def _take_proposals(self, base: Seen, seen: Seen) -> None:
        begin = self._memory - 1
        long, short = base.proposals[seen.start + begin :], seen.proposals[begin:]
        self._compared += len(short)
        self._proposed += int(((long[:, 0] != Action.HOLD) | (short[:, 0] != Action.HOLD)).sum())
        moved = np.abs(short[:, 1:] - long[:, 1:])
        has_probs = ~np.isnan(short[:, 2])
        near = np.where(has_probs, np.nan_to_num(moved[:, 1:]).max(axis=1), moved[:, 0]) <= PROBABLY_EQUAL
        at = np.flatnonzero(~near | ((short[:, 0] != long[:, 0]) & ~has_probs))
        self._flipped += len(at)
        if len(at):
            self._last_age = max(self._last_age, begin + int(at[-1]) + 1)
            if self._flip is None:
                first = int(at[0])
                self._flip = (seen.start + begin + first, long[first], short[first], seen.start)

    def _feature_finding(self, drift: _Drift) -> Finding:
        feature = FEATURES[drift.feature]
        should = int(self._settled[drift.feature])
        return Finding(
            kind=Kind.START,
            what=(
                f"feature {drift.feature} {feature.name}: a beginning moves it by {drift.share:.2g} of its clip (bound "
                f"{BOUND}) after {should:,} bars, when it should have settled, and still after {drift.last_age:,}"
            ),
            bar=drift.bar,
            closes=self._close_of(drift.bar),
            sides=(
                Side(run="with all bars", did=f"{drift.long:.6g}"),
                Side(run=f"with bars from bar {drift.start:,} on", did=f"{drift.short:.6g}"),
            ),
            differs=(feature.name,),
            reason="it forgets its beginning more slowly on these bars than the table of features says",
            remedy=(
                "give a longer warm-up; unless prices stood still meanwhile, at their limit for instance, this is a "
                "defect of the table: report it with the bars and this finding"
            ),
        )

    def _strategy_finding(self, text: str, flip: tuple[int, Numbers, Numbers, int]) -> Finding:
        bar, long, short, start = flip
        return Finding(
            kind=Kind.START,
            what=text,
            bar=bar,
            closes=self._close_of(bar),
            sides=(
                Side(run="with all bars", did=_proposed(long)),
                Side(run=f"with bars from bar {start:,} on", did=_proposed(short)),
            ),
            differs=("proposal",),
            reason=(
                "it adds up from its first bar on: a mean, sum, extreme or count of all bars so far, an average with a "
                "very long memory, a sequence of random numbers"
            ),
            remedy="compute from a fixed number of the last bars, or from the session's open",
        )

    def _close_of(self, bar: int) -> str:
        return f"{utc_text(self._bars.at(bar)[1])}"


def _proposed(row: Numbers) -> str:
    return f"proposed {ACTIONS[int(row[0])].name} ({float(row[1]):.6g})"
