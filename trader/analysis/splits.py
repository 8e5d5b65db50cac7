"""Dates for training and for testing that share nothing, and how evaluated dates lie to those of training.

Judged by instrument and dates, never by file: another export of the same days is the same data.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from trader.analysis.evaluation_parts import SplitFacts
from trader.domain.instruments import INSTRUMENTS, index_symbol
from trader.domain.sessions import Calendar
from trader.errors import UsageError
from trader.observation import FULL_SIZE, SESSION_MINUTES, settled

EMBARGO_SESSIONS = 5
"""A week: what a market does on one day is still felt in the next ones' volatility."""


class Gap(Struct, frozen=True, kw_only=True):
    """Sessions between training and test that belong to neither.

    `purge_sessions` keep the observations' look-back of the first test bars, and the outcome of the last training
    decisions, out of the other side (Lopez de Prado 2018, chapter 7); `embargo_sessions` come on top.
    """

    purge_sessions: int
    embargo_sessions: int

    @property
    def sessions(self) -> int:
        """All of them."""
        return self.purge_sessions + self.embargo_sessions


class Fold(Struct, frozen=True, kw_only=True):
    """Dates of the sessions to train or choose on, and of those to test on, in order; all of the first come before
    all of the second."""

    train: tuple[str, ...]
    test: tuple[str, ...]


class FoldPlan(Struct, frozen=True, kw_only=True):
    """How many sessions each fold trains and tests on, and how many folds there are at most (None: all that fit).

    `is_anchored`: training always begins with the first session, and `train_sessions` is its least length.
    """

    train_sessions: int
    test_sessions: int
    folds: int | None
    is_anchored: bool
    gap: Gap


class Relation(StrEnum):
    """How evaluated dates lie to those of training. On those of CHOSEN_ON nothing was trained, but the model was
    picked among others by what it came to there."""

    IN_SAMPLE = "in_sample"
    OVERLAPS = "overlaps"
    CHOSEN_ON = "chosen_on"
    OLDER = "older"
    NEWER = "newer"
    UNRELATED = "unrelated"

    @property
    def is_seen(self) -> bool:
        """Whether training has seen at least some of it."""
        return self in {Relation.IN_SAMPLE, Relation.OVERLAPS}


class Sample(Struct, frozen=True, kw_only=True):
    """Bars of a market, by the dates of the first and last session; `sha256` is over the bars."""

    market: str
    first_session: str
    last_session: str
    sha256: str
    is_synthetic: bool


def gap_for(bar_minutes: int) -> Gap:
    """The gap that bars of this length need: the longest look-back of any feature, the session in which the last
    decision's outcome ends, and a week."""
    look_back = -(-settled(FULL_SIZE, bar_minutes) * bar_minutes // SESSION_MINUTES)
    return Gap(purge_sessions=look_back + 1, embargo_sessions=EMBARGO_SESSIONS)


def walk_forward(dates: Sequence[str], plan: FoldPlan) -> tuple[Fold, ...]:
    """Folds in order over `dates`, the last test ending with the last session; tests follow each other and never
    overlap. UsageError, with the sessions that are needed, where not even one fold (or not all asked for) fits.
    """
    room = len(dates) - plan.train_sessions - plan.gap.sessions
    fitting = max(room // plan.test_sessions, 0)
    count = fitting if plan.folds is None else plan.folds
    if count < 1 or count > fitting:
        wanted = max(count, 1)
        needed = plan.train_sessions + plan.gap.sessions + wanted * plan.test_sessions
        msg = (
            f"{wanted} folds of {plan.train_sessions} sessions, a gap of {plan.gap.sessions} and a test of "
            f"{plan.test_sessions} need {needed} sessions, here are {len(dates)}; choose fewer or shorter ones, or "
            "longer bars"
        )
        raise UsageError(msg)
    tests = range(len(dates) - count * plan.test_sessions, len(dates), plan.test_sessions)
    return tuple(_fold(dates, plan, first_test) for first_test in tests)


def relation(trained: Sample, evaluated: Sample) -> Relation:
    """How `evaluated` lies to the bars of training.

    The same index counts as the same instrument (MNQ and NQ). Synthetic bars are related to no real ones, nor to
    other synthetic ones: their dates mean nothing. Bars that are the same to the byte are in-sample in any case.
    """
    if trained.sha256 == evaluated.sha256:
        return Relation.IN_SAMPLE
    is_market = not (trained.is_synthetic or evaluated.is_synthetic)
    if not is_market or _index(trained.market) != _index(evaluated.market):
        return Relation.UNRELATED
    if evaluated.first_session > trained.last_session:
        return Relation.NEWER
    if evaluated.last_session < trained.first_session:
        return Relation.OLDER
    is_inside = trained.first_session <= evaluated.first_session and evaluated.last_session <= trained.last_session
    return Relation.IN_SAMPLE if is_inside else Relation.OVERLAPS


class Past(Struct, frozen=True, kw_only=True):
    """What a model knows: the bars that it was trained on, those by which it was chosen (None: not told), and the gap
    that its bars ask for."""

    trained: Sample
    chosen: Sample | None
    gap: Gap


def split_facts(past: Past | None, evaluated: Sample, calendar: Calendar) -> SplitFacts:
    """The relation and the sentence that stands on the page; `past` is None where nothing was trained (a rule, random
    weights)."""
    if past is None:
        return SplitFacts(relation=Relation.UNRELATED.value, sentence="Nothing was trained: nothing was seen before.")
    found = relation(past.trained, evaluated)
    if not found.is_seen and past.chosen is not None and relation(past.chosen, evaluated).is_seen:
        found = Relation.CHOSEN_ON
    sentence = f"Trained on {_called(past.trained)}: {_reason(found, past, evaluated, calendar)}."
    return SplitFacts(relation=found.value, sentence=sentence)


def _index(market: str) -> str:
    """The instrument by which dates are compared; a manifest may name a market that this version does not know."""
    return index_symbol(market) if market in INSTRUMENTS else market


def _fold(dates: Sequence[str], plan: FoldPlan, first_test: int) -> Fold:
    end = first_test - plan.gap.sessions
    start = 0 if plan.is_anchored else end - plan.train_sessions
    return Fold(train=tuple(dates[start:end]), test=tuple(dates[first_test : first_test + plan.test_sessions]))


def _reason(found: Relation, past: Past, evaluated: Sample, calendar: Calendar) -> str:
    trained = past.trained
    match found:
        case Relation.IN_SAMPLE:
            return "all of these sessions are among them, results are no evidence"
        case Relation.OVERLAPS:
            return "some of these sessions are among them, results are no evidence"
        case Relation.CHOSEN_ON:
            return "none of these sessions is among them, but the model was chosen by its results on some"
        case Relation.NEWER:
            between = _sessions_between(calendar, trained.last_session, evaluated.first_session, past.gap)
            return f"these sessions are newer, {between}"
        case Relation.OLDER:
            between = _sessions_between(calendar, evaluated.last_session, trained.first_session, past.gap)
            return f"these sessions are older, {between}; weaker evidence, as what came later shaped the model"
        case Relation.UNRELATED:
            return _other(trained, evaluated)


def _other(trained: Sample, evaluated: Sample) -> str:
    if trained.is_synthetic or evaluated.is_synthetic:
        return f"these are other bars altogether, {_called(evaluated)}"
    shares = trained.first_session <= evaluated.last_session and evaluated.first_session <= trained.last_session
    also = "; weak evidence, as indices move together and dates are shared" if shares else ""
    return f"{evaluated.market} is another market{also}"


def _sessions_between(calendar: Calendar, earlier: str, later: str, gap: Gap) -> str:
    count = calendar.index_from(later) - calendar.index_from(earlier) - 1
    told = f"{count} session{'' if count == 1 else 's'} between"
    if count >= gap.sessions:
        return told
    asked = f"purge and embargo ask for {gap.sessions}"
    return f"{told} ({asked}: the nearest ones are not independent of training)"


def _called(sample: Sample) -> str:
    market = f"synthetic {sample.market}" if sample.is_synthetic else sample.market
    return f"{market} of {sample.first_session} to {sample.last_session}"
