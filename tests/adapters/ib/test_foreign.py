"""A person on the same account, under each policy: what the broker takes over, and what it leaves alone."""

from pathlib import Path

import pytest
from broker_builders import LAST, REF, Bench, a_bracket, a_flatten, known, life, trading
from gateway_builders import running, some_bars
from msgspec.structs import replace

from trader.adapters.ib.plan import ForeignPolicy
from trader.domain.actions import Side
from trader.domain.orders import ExitReason, Unfilled, foreign_ref
from trader.errors import ConfigurationError
from trader.gateway.faults import Fault, Verb
from trader.gateway.layouts import Request
from trader.gateway.mischief import BY_HAND
from trader.gateway.order_mischief import by_hand
from trader.gateway.orders import Kind
from trader.gateway.session import Session

POLLS = {"position_poll_s": 0.05, "order_poll_s": 0.05, "naked_grace_s": 0.05, "ask_every_s": 0.02}
ADOPT, IGNORE, REFUSE = ForeignPolicy.ADOPT, ForeignPolicy.IGNORE, ForeignPolicy.REFUSE


def trade(bench: Bench, qty: int, kind: Kind = Kind.MARKET) -> None:
    """An order that a person enters in the application: with executions, and no reference; a limit is far away."""
    exchange = bench.gateway.exchange
    number = -1 - len(exchange.book.everything)
    fault = Fault(do=Verb.MANUAL_ORDER, bar=0, qty=qty, kind=Kind.LIMIT, ticks=200)
    spec = by_hand(bench.gateway.market, number, fault)
    exchange.place(BY_HAND, spec if kind is Kind.LIMIT else replace(spec, kind=kind, limit=None))


def cancels(bench: Bench) -> list[str]:
    """The numbers of the orders that the client asks to cancel, from now on."""
    asked: list[str] = []
    known_take = bench.gateway.server.take

    def take(session: Session, fields: list[str]) -> None:
        if fields[0] == str(Request.CANCEL_ORDER):
            asked.append(fields[2])
        known_take(session, fields)

    bench.gateway.server.take = take  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("policy", [ADOPT, REFUSE])
async def test_a_foreign_position_is_stopped_under_the_lines_name_for_it(tmp_path: Path, policy: ForeignPolicy) -> None:
    """The stop that fills is told as the line knows the position, which no decision has opened."""
    falling = some_bars((8_000.0, 8_000.0, 7_975.0, 7_975.0))
    async with trading(tmp_path, columns=falling, policy=policy, **POLLS) as bench:
        trade(bench, 2)
        await bench.until(lambda: bench.working)
        await bench.calm()
        (stop,) = bench.working
        assert (stop.kind, stop.qty, [qty for qty, _ in bench.watcher.foreign]) == ("STP", 2, [2])
        bench.gateway.step()
        await bench.until(lambda: bench.watcher.exits)
        name = foreign_ref(bench.watcher.foreign_ns)
        assert [(fill.order_ref, fill.reason) for fill in bench.watcher.fills] == [(name, ExitReason.STOP)]
        assert stop.spec.order_ref == f"{name}.p1"


async def test_a_foreign_position_is_closed_in_the_group_of_its_stop(tmp_path: Path) -> None:
    """The line closes it by its own name for it: close and stop never both fill."""
    async with trading(tmp_path, **POLLS) as bench:
        trade(bench, 1)
        await bench.until(lambda: bench.working)
        await bench.calm()
        name = foreign_ref(bench.watcher.foreign_ns)
        bench.broker.submit(a_flatten(ref=name))
        await bench.until(lambda: bench.watcher.exits and not bench.working)
        close = bench.gateway.exchange.book.everything[-1].spec
        assert (close.order_ref, close.oca_group) == (f"{name}.c1", name)
        assert bench.watcher.fills[-1].order_ref == name


async def test_a_foreign_position_keeps_its_name_over_a_restart(tmp_path: Path) -> None:
    """Its stop is gone by then: the new one carries the name that the line has kept."""
    async with running() as server:
        async with life(tmp_path, server, **POLLS) as bench:
            trade(bench, 1)
            await bench.until(lambda: bench.working)
            await bench.calm()
        name = foreign_ref(bench.watcher.foreign_ns)
        server.exchange.cancel(1, server.exchange.book.working()[0].spec.order_id)
        kept = known(1, order_ref=name, bracket=None, target_ticks=0)
        async with life(tmp_path, server, kept, **POLLS) as bench:
            await bench.until(lambda: bench.working)
            assert bench.working[0].spec.order_ref.startswith(f"{name}.p")
            assert (bench.working[0].stop_ticks, bench.watcher.foreign) == (LAST - 40, [])


async def test_under_adopt_entries_go_on_once_the_foreign_position_is_gone(tmp_path: Path) -> None:
    """There is no doubt at any time; beside a position nothing is entered anyway."""
    async with trading(tmp_path, policy=ADOPT, **POLLS) as bench:
        bench.watcher.flattens = False
        trade(bench, 1)
        await bench.until(lambda: bench.working)
        bench.broker.submit(a_bracket())
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
        trade(bench, -1)
        await bench.until(lambda: not bench.working)
        await bench.calm()
        await bench.enter(ref="NQH20-2")
        assert (bench.watcher.broken, set(bench.watcher.doubts)) == ([], {None})


async def test_under_ignore_a_foreign_position_is_left_alone(tmp_path: Path) -> None:
    """Ours is stopped and closed, theirs is not."""
    async with trading(tmp_path, policy=IGNORE, **POLLS) as bench:
        trade(bench, 2)
        await bench.enter()
        assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]
        assert [each.qty for each in bench.working] == [1, 1]
        bench.broker.submit(a_flatten())
        await bench.until(lambda: bench.watcher.exits and not bench.working)
        await bench.calm()
        assert (bench.position_qty, bench.watcher.foreign, bench.watcher.naked) == (2, [], [])


async def test_under_refuse_a_round_trip_by_hand_is_told_though_nothing_is_left_of_it(tmp_path: Path) -> None:
    """Once, and of nothing: the line stops entries until somebody resumes."""
    async with trading(tmp_path, policy=REFUSE, **POLLS) as bench:
        trade(bench, 1)
        trade(bench, -1)
        await bench.until(lambda: bench.watcher.foreign)
        await bench.calm()
        assert ([qty for qty, _ in bench.watcher.foreign], bench.working) == ([0], [])


async def test_under_ignore_a_round_trip_by_hand_is_not_told(tmp_path: Path) -> None:
    """It is none of our business."""
    async with trading(tmp_path, policy=IGNORE, **POLLS) as bench:
        trade(bench, 1)
        trade(bench, -1)
        await bench.until(lambda: len(bench.broker._room.records.executions) == 2)
        assert bench.watcher.foreign == []


@pytest.mark.parametrize("policy", list(ForeignPolicy))
async def test_an_order_by_hand_is_never_touched(tmp_path: Path, policy: ForeignPolicy) -> None:
    """Beside a position, and after it."""
    async with trading(tmp_path, policy=policy, **POLLS) as bench:
        await bench.enter()
        asked = cancels(bench)
        trade(bench, -1, Kind.LIMIT)
        await bench.until(lambda: bench.broker.truth is not None and len(bench.broker.truth.orders) == 3)
        bench.broker.submit(a_flatten())
        await bench.until(lambda: bench.watcher.exits)
        await bench.calm()
        assert [each.spec.order_ref for each in bench.working] == [""]
        assert asked == []


async def test_an_order_of_ours_under_another_client_id_is_neither_moved_nor_cancelled(tmp_path: Path) -> None:
    """A cancel would get 10147, and a change would be a second stop."""
    async with running() as server:
        async with life(tmp_path, server) as bench:
            await bench.enter()
        async with life(tmp_path, server, known(1, stop=LAST - 12), link={"client_id": 7}, **POLLS) as bench:
            asked = cancels(bench)
            assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]
            trade(bench, 1, Kind.LIMIT)  # else all orders would be cancelled at once
            trade(bench, -1)
            await bench.until(lambda: bench.watcher.foreign)
            await bench.calm()
            assert (asked, len(bench.working), len(server.exchange.book.everything)) == ([], 3, 5)


@pytest.mark.parametrize("policy", [IGNORE, REFUSE])
async def test_our_own_position_in_another_month_is_refused_whatever_the_policy(
    tmp_path: Path, policy: ForeignPolicy
) -> None:
    """It was opened in the month before, and this program now trades the next."""
    async with running() as server:
        december = next(each for each in server.market.contracts._months if each != server.market.front)
        server.account.book(december, 1, LAST)
        kept = known(1, symbol=december.code)
        with pytest.raises(ConfigurationError, match=f"holds .1 {december.local_symbol}"):
            async with life(tmp_path, server, kept, policy=policy):
                pass
        assert server.exchange.book.everything == []


async def test_a_foreign_position_in_another_month_is_none_of_ours_under_ignore(tmp_path: Path) -> None:
    """And entries are free."""
    async with running() as server:
        december = next(each for each in server.market.contracts._months if each != server.market.front)
        server.account.book(december, 1, LAST)
        async with life(tmp_path, server, policy=IGNORE) as bench:
            await bench.enter()
            assert bench.watcher.fills[0].side is Side.BUY
