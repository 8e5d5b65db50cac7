"""Runs synthetic bars, the last of another contract, through the whole line, so that every kernel is compiled."""

import asyncio
import time

from msgspec.structs import replace

from trader.adapters.memory_feed import MemoryFeed
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.app import BarsFacts, assemble
from trader.domain.actions import Action, actions_in
from trader.domain.decisions import Proposal
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.outlook import Outlook
from trader.settings import Settings


class EveryAction:
    """Takes the highest valid action: entries, break-even, trail; the path of every kernel."""

    def propose(self, outlook: Outlook) -> Proposal:
        """The last action that the mask allows."""
        return Proposal(Action(actions_in(outlook.mask)[-1]), 1.0)


def warm_kernels(settings: Settings) -> float:
    """Compile everything that a bar needs; returns the seconds that it took."""
    began = time.perf_counter()
    market = instrument(settings.market)
    sessions = generate(1, "2019-01-02", 2, calendar=Calendar.load(), market=SyntheticMarket(instrument=market))
    bars = [bar for columns in sessions for bar in columns.to_bars()]
    bars[-1] = replace(bars[-1], symbol="ROLLED", roll_offset=market.tick)
    facts = BarsFacts(source="warm", sha256="", synthetic=True, bar_minutes=1, has_volume=True)
    made = assemble(settings, facts, log=None, strategy=EveryAction())
    made.engine.controls.reconciled()
    asyncio.run(made.engine.run(MemoryFeed(bars)))
    return time.perf_counter() - began
