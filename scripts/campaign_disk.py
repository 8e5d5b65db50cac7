"""The daemon on a disk that refuses at each write of a session, one after the other; then on a mended one.

Usage: python scripts/campaign_disk.py [--every 1] [--first 1] [--workers 2] [--out runs/campaign-disk.jsonl]
       python scripts/campaign_disk.py --case N -v

First a session on a whole disk: its writes are the statements of `state.db` and the lines of the log, and each of them
is a case. The disk refuses once, or from there on; the statements take turns. Cases that have a line in `--out` are not
played again. Exit 1 where one failed.
"""

import argparse
import logging
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from disk_scenario import BARS, NO_TROUBLE, End, play_disk
from msgspec import Struct
from refusing_disk import Kind, Trouble

from trader.adapters.ib.library import load_library

TURNS = ((Kind.ALL, True), (Kind.BROKEN, False), (Kind.FULL, True))
RESTARTED_AFTER = 3
"""Bars after which the second life of every other case begins; of the others after the session."""


class CaseLine(Struct, frozen=True, kw_only=True):
    """What is kept of a case. `has_failed`: the disk has refused something."""

    case: int
    what: str
    has_failed: bool
    wrong: list[str]


def troubles() -> list[tuple[Trouble, int]]:
    """Every case, with the bar of its restart: the lines of the log first."""
    whole = played(NO_TROUBLE, BARS)
    if whole.wrong:
        sys.exit(f"on a whole disk: {'; '.join(whole.wrong)}")
    lines = [Trouble(kind=Kind.LINE, at=at, lasts=False) for at in range(1, whole.log_lines + 1)]
    statements = [
        Trouble(kind=kind, at=at, lasts=lasts)
        for at in range(1, whole.statements + 1)
        for kind, lasts in (TURNS[at % len(TURNS)],)
    ]
    return [(trouble, _restart(trouble, whole)) for trouble in (*lines, *statements)]


def _restart(trouble: Trouble, whole: End) -> int:
    place = int(trouble.kind is Kind.LINE)
    bar = sum(mark[place] < trouble.at for mark in whole.marks)
    return BARS if trouble.at % 2 else min(bar + RESTARTED_AFTER, BARS)


def played(trouble: Trouble, restarted_at: int) -> End:
    """One case."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it counts what is written to a socket that has gone
    load_library()
    return play_disk(trouble, restarted_at)


def line_of(numbered: tuple[int, Trouble, int]) -> bytes:
    """One case's line."""
    case, trouble, restarted_at = numbered
    end = played(trouble, restarted_at)
    what = f"{trouble.kind.value} {trouble.at}{' and after' if trouble.lasts else ''}, restart before {restarted_at}"
    line = CaseLine(case=case, what=what, has_failed=end.failed_s is not None, wrong=end.wrong)
    return msgspec.json.encode(line) + b"\n"


def lines_in(path: Path) -> list[CaseLine]:
    """What an earlier campaign has left."""
    return msgspec.json.Decoder(CaseLine).decode_lines(path.read_bytes()) if path.exists() else []


def run(cases: list[tuple[int, Trouble, int]], workers: int) -> Iterator[bytes]:
    """The lines of these cases, as they come."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(line_of, cases)


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/campaign-disk.jsonl"))
    parser.add_argument("--case", type=int)
    parser.add_argument("-v", "--verbose", action="store_true")
    chosen = parser.parse_args()
    cases = [(number, *case) for number, case in enumerate(troubles(), 1)]
    if chosen.case is not None:
        end = played(*cases[chosen.case - 1][1:])
        if chosen.verbose:
            sys.stdout.writelines(f"{line}\n" for line in end.lines)
        sys.stdout.write(f"{cases[chosen.case - 1]}: {'; '.join(end.wrong) or 'all is well'}\n")
        return 1 if end.wrong else 0
    done = {line.case for line in lines_in(chosen.out)}
    left = [case for case in cases[chosen.first - 1 :: chosen.every] if case[0] not in done]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with chosen.out.open("ab", buffering=0) as out:
        for line in run(left, chosen.workers):
            out.write(line)
    lines = lines_in(chosen.out)
    failed = [line for line in lines if line.wrong]
    refused = sum(line.has_failed for line in lines)
    sys.stdout.write(f"{len(lines)} of {len(cases)} cases, the disk refused in {refused}, {len(failed)} failed\n")
    sys.stdout.writelines(f"case {line.case} ({line.what}): {'; '.join(line.wrong)}\n" for line in failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
