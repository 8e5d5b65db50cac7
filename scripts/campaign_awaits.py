"""A session of 300 bars with five trades whose daemon is killed before every step: does it come to the same end?

Usage: python scripts/campaign_awaits.py [--every 1] [--workers 2] [--out runs/campaign-awaits.jsonl]
       python scripts/campaign_awaits.py --session await:17@1 [--bar 70]

A point is a bar and the daemon's nth moment in it, as counted in a session without deaths: a step (what happens between
two awaits; 83 to 131 a bar), a statement of its state, a message to the broker, a line of its journal. A dead process
leaves what it sent and wrote, no more; steps are there for what the world does between two of these.

`await:K@F` kills at the Kth point of the bars F, F + 3, ...: whoever was started has a bar in peace, a hundred die in
one session. `start:K@F` kills anywhere in each of these bars, and whoever is started next at the Kth point of its
start. `draw:S@F` draws both from the seed S. A campaign is all of the first two, `--every 10` every tenth. Each
session's line in `--out` says what was wrong; sessions that have one are not played again. Exit 1 where one ended
otherwise than without deaths: other trades or cash, an order too many, an alert, a second without a stop.
"""

import argparse
import logging
import multiprocessing
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec
from crash_bed import BARS, TRADES, End, Kills, Session, played
from crash_loop import Death, Moment
from msgspec import Struct

from trader.adapters.ib.library import load_library

STRIDE = 3
HALF = 0.5
SHM = Path("/dev/shm")  # noqa: S108 -- a folder that is gone with the machine, made by tempfile


class Points(Struct, frozen=True):
    """All there are: by bar, and of a start."""

    of_bars: list[list[Death]]
    of_start: list[Death]

    def drawn(self, points: list[Death], chance: random.Random) -> Death:
        """Each kind as often as the others, however few there are of it."""
        moment = chance.choice(sorted({point.moment for point in points}))
        return chance.choice([point for point in points if point.moment is moment])


class Play(Struct, frozen=True):
    """A session of a campaign."""

    kind: str
    number: int
    first: int

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.kind}:{self.number}@{self.first}"

    def kills(self, points: Points) -> Kills:
        """What the bed is to do."""
        bars = range(self.first, BARS, STRIDE)
        chance = random.Random(self.name)  # noqa: S311 -- a seed's draw
        if self.kind == "await":
            at = self.number - 1
            return Kills({bar: points.of_bars[bar][at] for bar in bars if at < len(points.of_bars[bar])})
        deaths = {bar: points.drawn(points.of_bars[bar], chance) for bar in bars if points.of_bars[bar]}
        if self.kind == "start":
            return Kills(deaths, dict.fromkeys(deaths, points.of_start[self.number - 1]))
        return Kills(deaths, {bar: points.drawn(points.of_start, chance) for bar in deaths if chance.random() < HALF})


class PlayLine(Struct, frozen=True, kw_only=True):
    """What is kept of a session."""

    name: str
    lives: int
    deaths: int
    cpu_s: float
    wrong: list[str]


def session_of(kills: Kills) -> tuple[Session, End]:
    """One session, in a folder that goes."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it counts what is written to a socket that has gone
    warnings.simplefilter("ignore")  # of the dead: what nobody awaited
    load_library()
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None, ignore_cleanup_errors=True) as folder:
        return played(Path(folder), kills)


def points_of(whole: Session) -> Points:
    """Those of a session without deaths; its first bar holds the first start."""
    before, start, *bars = [
        [Death(moment, nth) for moment in Moment for nth in range(1, counts[moment] + 1)] for counts in whole.counts
    ]
    return Points(of_bars=[before, *bars], of_start=start)


def plays_of(points: Points) -> list[Play]:
    """All of a campaign."""
    awaits = [
        Play("await", number, first)
        for number in range(1, max(map(len, points.of_bars)) + 1)
        for first in range(STRIDE)
        if any(len(points.of_bars[bar]) >= number for bar in range(first, BARS, STRIDE))
    ]
    return awaits + [Play("start", number, number % STRIDE) for number in range(1, len(points.of_start) + 1)]


def is_bad(end: End) -> list[str]:
    """What a session without deaths has to be."""
    is_good = len(end.trades) == len(TRADES) and end.is_clean and not end.position_qty and not end.alerts
    return [] if is_good else [str(end)]


def difference(end: End, whole: End) -> list[str]:
    """In what they differ."""
    fields = End.__struct_fields__
    pairs = ((name, getattr(end, name), getattr(whole, name)) for name in fields)
    return [f"{name}: {got}, not {wanted}" for name, got, wanted in pairs if got != wanted]


def line_of(task: tuple[Play, Kills, End]) -> bytes:
    """One session's line."""
    play, kills, whole = task
    begun_s = time.process_time()
    session, end = session_of(kills)
    wrong = session.faults + difference(end, whole)
    cpu_s = round(time.process_time() - begun_s, 2)
    line = PlayLine(name=play.name, lives=session.lives, deaths=session.deaths, cpu_s=cpu_s, wrong=wrong)
    return msgspec.json.encode(line) + b"\n"


def lines_in(path: Path) -> list[PlayLine]:
    """What an earlier campaign has left."""
    return msgspec.json.Decoder(PlayLine).decode_lines(path.read_bytes()) if path.exists() else []


def run(tasks: list[tuple[Play, Kills, End]], workers: int) -> Iterator[bytes]:
    """Their lines, as they come."""
    if workers == 1:
        yield from map(line_of, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=8) as pool:
        yield from pool.imap_unordered(line_of, tasks)


def tell(lines: list[PlayLine]) -> int:
    """The figures."""
    failed = [line for line in lines if line.wrong]
    figures = sum(line.deaths for line in lines), sum(line.lives for line in lines), sum(line.cpu_s for line in lines)
    deaths, lives, cpu_s = figures
    sys.stdout.write(
        f"{len(lines)} sessions, {deaths} deaths, {lives} lives, {cpu_s:.0f} CPU s, {len(failed)} failed\n"
    )
    sys.stdout.writelines(f"{line.name}: {'; '.join(line.wrong)}\n" for line in failed)
    return 1 if failed or not lines else 0


def played_as(name: str) -> Play:
    """A session by its name."""
    kind, _, rest = name.partition(":")
    number, _, first = rest.partition("@")
    return Play(kind, int(number), int(first))


def only(kills: Kills, bar: int | None) -> Kills:
    """Those of one bar."""
    if bar is None:
        return kills
    return Kills(*({at: death for at, death in each.items() if at == bar} for each in (kills.deaths, kills.recoveries)))


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/campaign-awaits.jsonl"))
    parser.add_argument("--session", action="append", default=[])
    parser.add_argument("--bar", type=int)
    chosen = parser.parse_args()
    whole, end = session_of(Kills())
    if wrong := whole.faults + is_bad(end):
        sys.stdout.write(f"without a death: {'; '.join(wrong)}\n")
        return 1
    points = points_of(whole)
    done = set() if chosen.session else {line.name for line in lines_in(chosen.out)}
    plays = [played_as(name) for name in chosen.session] or plays_of(points)[:: chosen.every]
    tasks = [(play, only(play.kills(points), chosen.bar), end) for play in plays if play.name not in done]
    if chosen.session:
        return tell([msgspec.json.decode(line, type=PlayLine) for line in run(tasks, 1)])
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with chosen.out.open("ab", buffering=0) as out:
        for line in run(tasks, chosen.workers):
            out.write(line)
    return tell(lines_in(chosen.out))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # what the dead have left behind would be tidied up for long
