"""How often the advisor is asked: shares of bars, by trigger, with and without the cache, and in the busiest 100 bars.

The bound of spec advisor.md (at most 35 % of bars asked) is for policies with at most four changes of position in 100
bars; `CalmPolicy` is one, and can be of constant confidence.
"""

import asyncio
from collections import deque

from msgspec import Struct

from trader.advisor.question import Answer
from trader.app import BarsFacts, assemble
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus, Decision, NotAsked, Proposal, Trigger
from trader.logbook import SilentLogbook
from trader.outlook import Outlook
from trader.pipeline import Look
from trader.ports import Feed, Strategy
from trader.recorder import Outcome
from trader.router import Router
from trader.settings import Settings

STRETCH_BARS = 100
CHANGES_ALLOWED = 4
ALLOWED_SHARE = 0.35
ADVICE_WITHOUT_A_SAY = ("fusion.llm_weight=0", "fusion.override_high=1", "fusion.uncertain_below=0")
"""Settings under which the policy alone trades, so that it is its changes of position that are counted."""


class QueryRate(Struct, frozen=True, kw_only=True):
    """What was counted over a run. `asked` left the gate, cache hits included; `model_calls` are without them.

    `open_bars` are those at which something could have been asked: features ready, more than one valid action.
    `asked_in_stretch` is the most in any 100 bars in a row, `changes_in_stretch` the most changes of position there,
    `asked_in_calm_stretch` the most in those with at most four. `by_trigger` counts a question once for each of its
    triggers, `silent` the bars that were not asked by why. `advice_decided` are bars whose decision was not the
    strategy's choice.
    """

    bars: int
    open_bars: int
    asked: int
    model_calls: int
    cached: int
    by_trigger: dict[Trigger, int]
    silent: dict[NotAsked, int]
    asked_in_stretch: int
    asked_in_calm_stretch: int
    changes_in_stretch: int
    advice_decided: int

    @property
    def asked_share(self) -> float:
        """Of all bars, 0..1."""
        return self.asked / self.bars if self.bars else 0.0

    @property
    def asked_share_of_open(self) -> float:
        """Of the bars that could be asked, 0..1."""
        return self.asked / self.open_bars if self.open_bars else 0.0


class CalmPolicy:
    """Enters 50 bars after its last trade ended, by the sign of the momentum, and leaves the rest to stop and target.

    Its confidence is the same at every bar.
    """

    def __init__(self, confidence: float) -> None:
        self._proposals = {action: Proposal(action, confidence) for action in Action}
        self._flat_for = 0
        self._trades_closed = 0

    def propose(self, outlook: Outlook) -> Proposal:
        """HOLD but for the entries."""
        account = outlook.account
        has_traded = account.position_qty != 0 or account.trades_closed != self._trades_closed
        self._flat_for = 0 if has_traded else self._flat_for + 1
        self._trades_closed = account.trades_closed
        wanted = Action.BUY if outlook.reading.momentum > 0 else Action.SELL
        may_enter = self._flat_for >= STRETCH_BARS // 2 and outlook.mask >> wanted & 1
        return self._proposals[wanted if may_enter else Action.HOLD]


class RateWatch(SilentLogbook):
    """Counts bars and questions as the engine tells of them; one run a watch."""

    def __init__(self) -> None:
        self.bars = 0
        self.open_bars = 0
        self.by_trigger = dict.fromkeys(Trigger, 0)
        self.silent = dict.fromkeys(NotAsked, 0)
        self.most_asked = 0
        self.most_asked_calm = 0
        self.most_changes = 0
        self.advice_decided = 0
        self._stretch: deque[tuple[bool, int]] = deque(maxlen=STRETCH_BARS)
        self._account = (0, 0)

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """Count one."""
        super().bar(look, answer, decision, outcome, router)
        self.bars += 1
        self.open_bars += look.outlook.ready and not look.forced
        for trigger in look.triggers:
            self.by_trigger[trigger] += 1
        if look.not_asked is not None:
            self.silent[look.not_asked] += 1
        self.advice_decided += decision.action is not look.proposal.action
        self._note_stretch(look)

    def _note_stretch(self, look: Look) -> None:
        account = look.outlook.account
        now = (account.position_qty, account.trades_closed)
        before, self._account = self._account, now
        # A trade that began and ended between two bars changed the position twice.
        changes = 2 if now[1] != before[1] and (now[0] == 0) == (before[0] == 0) else int(now != before)
        self._stretch.append((look.question is not None, changes))
        asked = sum(was_asked for was_asked, _ in self._stretch)
        changed = sum(change for _, change in self._stretch)
        self.most_asked = max(self.most_asked, asked)
        self.most_changes = max(self.most_changes, changed)
        if changed <= CHANGES_ALLOWED:
            self.most_asked_calm = max(self.most_asked_calm, asked)


def query_rate(settings: Settings, facts: BarsFacts, feed: Feed, strategy: Strategy | None = None) -> QueryRate:
    """Replay the bars with the advisor of the settings, and count; `strategy` None takes the settings' own."""
    watch = RateWatch()
    made = assemble(settings, facts, log=watch, strategy=strategy)
    made.engine.controls.reconciled()
    asyncio.run(made.engine.run(feed))
    counts = made.advisor.counts()
    return QueryRate(
        bars=watch.bars,
        open_bars=watch.open_bars,
        asked=counts.asked,
        model_calls=counts.model_calls,
        cached=counts.by_status[AdviceStatus.CACHED],
        by_trigger=watch.by_trigger,
        silent=watch.silent,
        asked_in_stretch=watch.most_asked,
        asked_in_calm_stretch=watch.most_asked_calm,
        changes_in_stretch=watch.most_changes,
        advice_decided=watch.advice_decided,
    )
