"""The operator's desk at a run: says how it stands, and carries out commands between two bars.

While a bar is decided, a command waits: what the review has read of the account cannot change under it, and a replay
can apply the command at the bar that the log names. A status is read at once.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

from trader.adapters.control.kill_switch import KillSwitch
from trader.adapters.control.messages import CommandName, Reply, Request
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.decisions import Rule
from trader.engine import Engine
from trader.errors import TraderError
from trader.kernels.rules import EXHAUSTED
from trader.ports import Alerts, Feed
from trader.records import EventKind
from trader.risk.counters import RESETTABLE
from trader.risk.rules import RULE_BITS, rules_in
from trader.status import Place, rules_now, status_of
from trader.taken import Taken

_NO_ENTRIES = "no entries; stops and targets stay as they are"
_ENDS_BY_ITSELF = {
    Rule.DAILY_LOSS: "it ends at the next session's open",
    Rule.MAX_TRADES: "it ends at the next session's open",
    Rule.COOLDOWN: "it ends after risk.cooldown_after_stop_minutes",
    Rule.SESSION_WINDOW: "it ends when the entry window opens",
    Rule.STALE_DATA: "it ends with the next bar",
    Rule.NOT_RECONCILED: "it ends when book and broker agree",
    Rule.KILL_SWITCH: "`trader resume --clear-kill` lifts it",
}


class Desk:
    """One run's. `answer` is called by whoever listens to operators; the engine is fed through `between`."""

    def __init__(
        self, engine: Engine, place: Place, kill_switch: KillSwitch, alerts: Alerts, taken: Taken | None = None
    ) -> None:
        """`taken` is None where nobody else can own the account."""
        self._engine = engine
        self._place = place
        self._kill_switch = kill_switch
        self._taken = taken
        self._alerts = alerts
        self._is_deciding = False
        self._is_over = False
        self._has_told_of_journal = False
        self._waiting: list[tuple[Request, asyncio.Future[Reply]]] = []
        engine.on_event = self._watch
        engine.on_trouble = self._on_trouble

    def begin(self) -> None:
        """Before the first bar: a kill switch that an earlier run has left is in force again."""
        if self._kill_switch.is_kept:
            self._engine.controls.kill()
            self._engine.tell(EventKind.COMMAND, {"command": CommandName.KILL.value, "kept": 1})
            why = f"{self._kill_switch.path} is there: it was set and has not been lifted"
            self._alerts.alert(AlertKind.KILL_SWITCH, why=why, effect=_NO_ENTRIES)

    def between(self, feed: Feed) -> Feed:
        """The feed to hand to the engine: between two of its chunks commands are carried out."""
        return _Turns(self, feed)

    def bars_begin(self) -> None:
        """The engine has the next bars: commands wait."""
        self._is_deciding = True

    def bars_done(self) -> None:
        """The engine asks for more: what has waited is carried out."""
        self._is_deciding = False
        self.look()
        self._catch_up()

    def look(self) -> None:
        """Tell, once, of a log that cannot be kept. To be called now and then: it fails while no bar comes, too."""
        if not self._has_told_of_journal and not self._engine.parts.logbook.is_healthy:
            self._has_told_of_journal = True
            self._alerts.alert(
                AlertKind.JOURNAL_TROUBLE,
                why=f"{self._place.log}: a line of the decision log could not be kept (`journal_failed` says why)",
                effect=f"{_NO_ENTRIES}; see to the disk, then start again",
            )

    async def answer(self, request: Request) -> Reply:
        """What became of a request; a command that arrives while a bar is decided waits for its end."""
        if request.command is CommandName.STATUS:
            return Reply(ok=True, message="", status=status_of(self._engine, self._place))
        why = self._why_taken
        if why is not None and request.clear_kill and self._taken is not None:
            stays = await self._taken.give_back(self._engine.controls)
            if stays is not None:
                return Reply(ok=False, message=f"the file KILL stays, and nothing is sent: {stays}")
        if self._is_deciding and not self._is_over:
            done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._waiting.append((request, done))
            reply = await done
        else:
            reply = self._obey(request)
        return await self._kept(reply) if request.command is CommandName.KILL else reply

    def end(self) -> None:
        """The run is over: its log is closed, and no command can be carried out any more."""
        self._is_deciding = False
        self._is_over = True
        self.look()
        self._catch_up()

    def _catch_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for request, done in waiting:
            reply = self._obey(request)
            if not done.done():  # who asked may have gone; the command counts all the same
                done.set_result(reply)

    def _obey(self, request: Request) -> Reply:
        if self._is_over and request.command is not CommandName.KILL:
            return Reply(ok=False, message="the run is ending and takes no commands any more")
        why = self._why_taken
        if why is not None and request.command is not CommandName.KILL:
            return Reply(ok=False, message=why, is_taken=True)
        match request.command:
            case CommandName.PAUSE:
                reply = self._pause()
            case CommandName.RESUME:
                reply = self._resume(lifts_kill=request.clear_kill)
            case CommandName.FLATTEN:
                reply = self._flatten()
            case CommandName.KILL:
                reply = self._kill()
            case CommandName.RESET:
                reply = self._reset(request.rule)
            case CommandName.STATUS:
                reply = self._done("")
        return reply

    @property
    def _why_taken(self) -> str | None:
        """Another process has taken the account: what was asked for before, and is heard now, is not done any more."""
        return None if self._taken is None else self._taken.why

    def _pause(self) -> Reply:
        self._note(CommandName.PAUSE)
        self._engine.controls.pause()
        return self._done(f"paused: {_NO_ENTRIES}, until `trader resume`")

    def _resume(self, *, lifts_kill: bool) -> Reply:
        controls = self._engine.controls
        if lifts_kill:
            try:
                self._kill_switch.lift()
            except TraderError as error:
                return Reply(ok=False, message=f"the kill switch stays in force: {error}")
        self._note(CommandName.RESUME, {"clear_kill": 1} if lifts_kill else {})
        if lifts_kill:
            controls.lift_kill()
        controls.resume()
        still = list(rules_in(rules_now(self._engine)))
        if controls.is_killed:
            return self._done(f"the pause is lifted, the kill switch is not: {_ENDS_BY_ITSELF[Rule.KILL_SWITCH]}")
        if not controls.entries_allowed:
            return self._done(f"the pause is lifted; still no entries: {controls.state}")
        if self._engine.passage.is_exhausted:
            return self._done("the pause is lifted; still no entries: the account is used up (`trader status`)")
        named = f"; in force: {', '.join(rule.value for rule in still)}" if still else ""
        return self._done(f"resumed: entries are allowed again{named}")

    def _flatten(self) -> Reply:
        engine = self._engine
        view = engine.parts.book.view()
        self._note(CommandName.FLATTEN, {"position": view.position_qty})
        engine.controls.pause()
        engine.flatten()
        engine.parts.router.release()
        if view.position_qty:
            return self._done(f"closing {view.position_qty:+d} at the market; then paused until `trader resume`")
        if view.working:
            return self._done("the entry at work is taken back; paused until `trader resume`")
        return self._done("nothing is open; paused until `trader resume`")

    def _kill(self) -> Reply:
        self._engine.controls.kill()
        if not self._is_over:
            self._note(CommandName.KILL)
        self._alerts.alert(AlertKind.KILL_SWITCH, why="set by the operator", effect=_NO_ENTRIES)
        return self._done(f"killed: {_NO_ENTRIES}, over restarts too, until `trader resume --clear-kill`")

    async def _kept(self, reply: Reply) -> Reply:
        """Make the switch survive this run; it is in force already, so that a slow disk delays the reply only."""
        try:
            await asyncio.to_thread(self._kill_switch.keep, f"run {self._place.run_id}")
        except TraderError as error:
            why = f"in force now, but a restart would forget it: {error}"
            self._alerts.alert(AlertKind.KILL_SWITCH, why=why, effect="do not restart before it is kept")
            return Reply(ok=False, message=f"killed, {why}", status=reply.status)
        return reply

    def _reset(self, rule: Rule | None) -> Reply:
        refusal = "no rule is named" if rule is None else self._against_reset(rule)
        if rule is None or refusal is not None:
            return Reply(ok=False, message=f"nothing was reset: {refusal}")
        engine = self._engine
        counters, in_use = engine.parts.counters, engine.parts.reviewer.in_use
        self._note(CommandName.RESET, {"rule": rule.value})
        counters.on_reset(rule)
        engine.passage.is_exhausted = engine.passage.is_exhausted and counters.bits & in_use & EXHAUSTED != 0
        still = rules_in(counters.bits & in_use)
        named = f"; still in force: {', '.join(each.value for each in still)}" if still else ""
        waived = ", until equity has recovered and falls again" if rule is Rule.DRAWDOWN_PROXIMITY else ""
        return self._done(f"{rule.value} is reset{waived}{named}")

    def _against_reset(self, rule: Rule) -> str | None:
        """Why a rule may not be reset now, None where it may. A threshold is never lowered."""
        parts = self._engine.parts
        if rule not in RESETTABLE:
            return f"{rule.value} is none of the operator's; {_ENDS_BY_ITSELF.get(rule, 'it follows from each order')}"
        if not parts.counters.bits & parts.reviewer.in_use & RULE_BITS[rule]:
            return f"{rule.value} is not in force"
        if not RULE_BITS[rule] & EXHAUSTED:
            return None
        view = parts.book.view()
        if rule is Rule.TRAILING_BREACH and (view.position_qty or view.working):
            return "the position that breached is still being closed; reset when nothing is open"
        if view.equity_cents <= view.threshold_cents:
            return (
                f"equity {view.equity_cents / 100:,.2f} $ is not above the trailing threshold "
                f"{view.threshold_cents / 100:,.2f} $, which is never lowered: {rule.value} would fire again at once, "
                "and a flat account cannot recover. This account is used up; a new one begins with another run, or "
                "with account.on_exhausted=renew at the next session"
            )
        return None

    def _note(self, command: CommandName, detail: Mapping[str, str | int] | None = None) -> None:
        """Write down what is about to be done, and the bar from which it counts."""
        self._engine.tell(EventKind.COMMAND, {"command": command.value, **(detail or {})})

    def _done(self, message: str) -> Reply:
        return Reply(ok=True, message=message, status=status_of(self._engine, self._place))

    def _watch(self, kind: EventKind, detail: Mapping[str, str | int]) -> None:
        if kind is EventKind.LIMIT_HIT:
            self._alerts.alert(
                AlertKind.LIMIT_HIT, why=str(detail["rules"]), effect="the rule blocks what risk.veto_actions names"
            )
        elif kind is EventKind.ACCOUNT_EXHAUSTED:
            self._alerts.alert(AlertKind.ACCOUNT_EXHAUSTED, why=str(detail["rules"]), effect=_NO_ENTRIES)

    def _on_trouble(self, why: str) -> None:
        self._alerts.alert(AlertKind.PROTECT_ONLY, why=why, effect="stops are managed, no entries")


class _Turns:
    """A feed that tells the desk whose turn it is."""

    def __init__(self, desk: Desk, feed: Feed) -> None:
        self._desk = desk
        self._feed = feed

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The feed's."""
        async for chunk in self._feed.chunks():
            self._desk.bars_begin()
            yield chunk
            self._desk.bars_done()
