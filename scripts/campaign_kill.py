"""kill -9 of `trader run` at random moments, against one gateway-sim that goes on; restarted each time.

Usage: python scripts/campaign_kill.py [--broker ib|paper|both] [--kills 300] [--legs 6] [--workers 2] [--forked]
       [--speed 120] [--seed 1] [--folder runs/campaign-kill] [--json]

The kills are divided into legs, each with a gateway of its own; a leg that has been played is not played again: what it
showed lies in the folder. At each leg's end the oracle is asked: for `ib` the gateway's ledger and its checker, for
`paper` the same orders filled on the same bars in one go; and the logs of all its lives have to be one chain. Exit 1
where anything was found.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import kill_checks as checks
import msgspec
from kill_bed import Bed, Forked, GatewayProcess, Life, Mother, Started, has_said, status, tell, wait_for
from msgspec import Struct

from trader.adapters.control.messages import CommandName
from trader.adapters.state.records import BrokerName
from trader.gateway.checker import Findings
from trader.settings import identity_of, load_settings

HISTORY = 8_668
"""Bars of the sample before the first that is played: its cash open of 2019-12-03."""
BEFORE_UP = 0.3
"""Share of the kills that come while a life is starting."""
LONGEST_UNPROTECTED_S = 2.0


class Wish(Struct, frozen=True, kw_only=True):
    """One leg."""

    folder: str
    broker: str
    kills: int
    seed: int
    speed: float
    bars_alive: float
    is_forked: bool


class Found(Struct, frozen=True, kw_only=True):
    """What one leg, or all of a broker's, showed. Seconds are contract-seconds but for `longest_s`; `faults` is empty
    where all held. `killed_starting` are those of the kills that came before the life was up.
    """

    broker: str
    kills: int
    killed_starting: int
    restarts: int
    orders: int
    executions: int
    duplicates: int
    orphans: int
    wrong_sides: int
    unprotected_s: float
    unprotected_linked_s: float
    longest_s: float
    positions_compared: int
    log_folders: int
    loose_folders: int
    bars: int
    caught_up: int
    catching_up_events: int
    alerts: dict[str, int]
    faults: tuple[str, ...]
    seconds: float


class Leg:
    """Plays one: `kills` lives that are killed, then one that ends in peace."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._chance = random.Random(wish.seed)  # noqa: S311 -- a seeded campaign
        self._folder = Path(wish.folder)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._gateway = GatewayProcess(self._folder, wish.speed, HISTORY)
        self._bed = Bed(folder=self._folder, broker=wish.broker, port=self._gateway.port)
        self._mother: Mother = Forked(self._bed) if wish.is_forked else Started()
        self._start_s = 1.0
        self._starting = 0
        self._outs: list[Path] = []
        self._samples: list[checks.Sample] = []
        self._faults: list[str] = []

    def play(self) -> Found:
        """All of it."""
        begun_s = time.monotonic()
        try:
            for _ in range(self._wish.kills):
                self._kill_one()
            self._end_in_peace()
        finally:
            self._mother.close()
            last = self._gateway.at_the_end()
        return self._judged(msgspec.json.decode(last, type=Findings), time.monotonic() - begun_s)

    def _bear(self) -> Life:
        out = self._folder / f"life-{len(self._outs):03d}.txt"
        self._outs.append(out)
        return self._mother.bear(self._bed, out)

    def _kill_one(self) -> None:
        """Half of those that come up live long enough for a few bars."""
        born_s = time.monotonic()
        life = self._bear()
        if self._chance.random() < BEFORE_UP:
            self._live(life, self._chance.uniform(0.0, self._start_s))
        else:
            wait_for(lambda: has_said(life, "started") or life.is_over, "a life comes up")
            self._start_s = time.monotonic() - born_s
            self._live(life, self._chance.uniform(0.0, self._wish.bars_alive * 60.0 / self._wish.speed))
            self._ask()
        self._starting += not has_said(life, "started")
        if life.is_over:
            self._faults.append(f"{life.out.name} ended by itself")
        else:
            os.kill(life.pid, signal.SIGKILL)
        life.ended()

    def _live(self, life: Life, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s and not life.is_over:
            time.sleep(min(0.02, max(0.0, until_s - time.monotonic())))  # another process: its end sets no event here

    def _ask(self) -> None:
        """What it says of its position, on every other life: the question takes it to a place between two steps."""
        if self._chance.random() < 0.5:
            return
        begun_s = time.monotonic()
        said = status(self._bed)
        if said is not None:
            qty = 0 if said.position is None else said.position.qty
            self._samples.append(checks.Sample(begun_s=begun_s, ended_s=time.monotonic(), position_qty=qty))

    def _end_in_peace(self) -> None:
        """The last life trades a while, closes what is open and is asked to end."""
        life = self._bear()
        wait_for(lambda: has_said(life, "started") or life.is_over, "the last life comes up")
        self._live(life, self._wish.bars_alive * 60.0 / self._wish.speed)
        if life.is_over:
            self._faults.append(f"{life.out.name} ended by itself")
            return
        tell(self._bed, CommandName.PAUSE)
        tell(self._bed, CommandName.FLATTEN)
        wait_for(self._is_flat, "the last position is closed")
        os.kill(life.pid, signal.SIGTERM)
        code = life.ended()
        if code:
            self._faults.append(f"{life.out.name} ended with {code}")

    def _is_flat(self) -> bool:
        said = status(self._bed)
        return said is not None and said.position is None and not said.has_working_order

    def _judged(self, found: Findings, seconds: float) -> Found:
        wish, settings = self._wish, load_settings(environ={}, overrides=self._bed.settings())
        entries = checks.read_ledger(self._gateway.ledger)
        is_paper = wish.broker == BrokerName.PAPER
        state = checks.read_state(self._bed.state, identity_of(settings, BrokerName(wish.broker), "ib"))
        faults, compared = self._faults, 0
        if is_paper:
            faults += checks.against_bars(state, settings)
        else:
            faults += checks.against_ledger(state, entries, settings)
            compared, wrong = checks.against_samples(entries, self._samples)
            faults += wrong
        chain = checks.chain_of(self._bed.logs, is_whole=is_paper)
        alerts, odd = checks.alerts_in(self._outs)
        faults += [*chain.broken, *odd]
        if not found.is_clean or found.position or found.unprotected_longest_s > LONGEST_UNPROTECTED_S:
            faults.append(f"the checker: {found}")
        return Found(
            broker=wish.broker,
            kills=wish.kills,
            killed_starting=self._starting,
            restarts=len(self._outs) - 1,
            orders=len(state.intents) if is_paper else found.orders,
            executions=len(state.executions) if is_paper else found.executions,
            duplicates=len(found.duplicates),
            orphans=len(found.orphans),
            wrong_sides=len(found.wrong_sides),
            unprotected_s=found.unprotected_s,
            unprotected_linked_s=found.unprotected_linked_s,
            longest_s=found.unprotected_longest_s,
            positions_compared=compared,
            log_folders=chain.folders,
            loose_folders=chain.loose,
            bars=chain.bars,
            caught_up=chain.caught_up,
            catching_up_events=chain.events,
            alerts=dict(alerts),
            faults=tuple(faults),
            seconds=seconds,
        )


def played(wish: Wish) -> Found:
    """A leg, or what it has shown before."""
    result = Path(f"{wish.folder}.json")
    if result.exists():
        return msgspec.json.decode(result.read_bytes(), type=Found)
    found = Leg(wish).play()
    result.write_bytes(msgspec.json.encode(found))
    return found


def together(legs: list[Found]) -> Found:
    """All legs of one broker."""
    whole = legs[0]
    for leg in legs[1:]:
        sums = {
            name: getattr(whole, name) + getattr(leg, name)
            for name in Found.__struct_fields__
            if name not in {"broker", "longest_s", "alerts"}
        }
        alerts = dict(Counter(whole.alerts) + Counter(leg.alerts))
        whole = Found(broker=whole.broker, longest_s=max(whole.longest_s, leg.longest_s), alerts=alerts, **sums)
    return whole


def wishes(chosen: argparse.Namespace) -> list[Wish]:
    """The legs that were asked for."""
    brokers = ["ib", "paper"] if chosen.broker == "both" else [chosen.broker]
    return [
        Wish(
            folder=str(chosen.folder.absolute() / f"{broker}-{leg}"),
            broker=broker,
            kills=chosen.kills // chosen.legs + (leg < chosen.kills % chosen.legs),
            seed=chosen.seed * 1_000 + leg,
            speed=chosen.speed,
            bars_alive=chosen.bars_alive,
            is_forked=chosen.forked,
        )
        for leg in range(chosen.legs)
        for broker in brokers
    ]


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=("ib", "paper", "both"), default="both")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--legs", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--speed", type=float, default=120.0)
    parser.add_argument("--bars-alive", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--forked", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("runs/campaign-kill"))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(chosen.workers) as pool:
        legs = list(pool.map(played, wishes(chosen)))
    found = [
        together([leg for leg in legs if leg.broker == broker]) for broker in dict.fromkeys(leg.broker for leg in legs)
    ]
    if chosen.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        for name in Found.__struct_fields__:
            sys.stdout.write(f"{name:22}" + "".join(f"{getattr(each, name)!s:>24}" for each in found) + "\n")
    return 1 if any(each.faults for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
