"""What an engine is made of, where it stands, and what of it is kept over a restart."""

from msgspec import Struct

from trader.analysis.report import Tally
from trader.book import Book
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar, Session
from trader.fusion import FusionRules
from trader.learning import Learner
from trader.pipeline import Pipeline
from trader.ports import Advisor, Broker, RunLog
from trader.risk.counters import Counters
from trader.risk.review import Reviewer
from trader.router import Router
from trader.schedule import SessionPlan, Window


class Parts(Struct, frozen=True, kw_only=True):
    """What an engine is made of; `trader.app` puts it together.

    `renews_account`: an exhausted account is followed by a new one at the next session, as in everything replayed.
    """

    calendar: Calendar
    window: Window
    instrument: Instrument
    book: Book
    pipeline: Pipeline
    advisor: Advisor
    fusion: FusionRules
    learner: Learner | None
    counters: Counters
    reviewer: Reviewer
    router: Router
    broker: Broker
    logbook: RunLog
    tally: Tally
    renews_account: bool


class Standing(Struct, frozen=True, kw_only=True):
    """Where a run stands: the last bar, its session (both None before the first), and the rules in force at it."""

    bar: Bar | None
    session: Session | None
    plan: SessionPlan
    active: int


class Reached(Struct, frozen=True, kw_only=True):
    """How far a run has come: the close of its last bar (0 before the first), and what it remembers between bars.

    `session_date` is that of the session at work, `carried_cents` what accounts that were replaced had gained.
    """

    ts_close_ns: int
    symbol: str
    session_date: str
    bars: int
    carried_cents: int
    is_exhausted: bool
