"""A desk at a driven run, and who is told."""

import asyncio
from pathlib import Path

from line_builders import Drive
from line_fakes import FakeAdvisor

from trader.adapters.control.kill_switch import KillSwitch
from trader.adapters.control.messages import CommandName, Reply, Request, Status
from trader.desk import Desk
from trader.domain.alerts import AlertKind
from trader.domain.decisions import Rule
from trader.domain.orders import Order
from trader.status import Place


class Told:
    """Keeps the alerts."""

    def __init__(self) -> None:
        self.kinds: list[AlertKind] = []

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        """One more."""
        assert why
        assert effect
        self.kinds.append(kind)


class Deaf:
    """A broker that hears nothing."""

    def submit(self, order: Order) -> None:
        """Lost."""


class Seat:
    """A desk at a driven run, and who is alerted."""

    def __init__(self, drive: Drive, folder: Path) -> None:
        self.drive = drive
        self.told = Told()
        self.switch = KillSwitch(folder)
        place = Place(
            pid=1,
            run_id="by-hand",
            mode="paper",
            account="paper account",
            strategy="scripted",
            backend="off",
            log="by-hand",
            advice=FakeAdvisor().counts,
        )
        self.desk = Desk(drive.engine, place, self.switch, self.told)

    def say(self, command: str, rule: Rule | None = None, *, clear_kill: bool = False) -> Reply:
        """A command between two bars."""
        request = Request(command=CommandName(command), rule=rule, clear_kill=clear_kill)
        return asyncio.run(self.desk.answer(request))

    def status(self) -> Status:
        """How the run stands."""
        status = self.say("status").status
        assert status is not None
        return status

    def commands(self) -> list[tuple[int, dict[str, object]]]:
        """The commands in the log: the bar from which each counts, and what it says."""
        return [(event.from_bar, dict(event.detail)) for event in self.drive.event_records() if event.kind == "command"]
