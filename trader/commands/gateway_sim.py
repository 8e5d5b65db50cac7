"""`trader gateway-sim`: a broker of this machine's own, that client libraries of Interactive Brokers talk to."""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from trader import assembly
from trader.adapters.columns import concatenate
from trader.adapters.replay import LoopPace
from trader.commands.common import open_source, settings_from
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError, UsageError
from trader.gateway.account import AccountTerms
from trader.gateway.checker import Findings, check
from trader.gateway.faults import read_faults
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway, GatewayTerms
from trader.gateway.mischief import play_faults
from trader.gateway.order_mischief import OrderMischief
from trader.gateway.playing import AtOnce, Lockstep, Rhythm, Timed, play
from trader.options import BarOptions, FileOptions, GatewayOptions, ShortOptions
from trader.settings import Settings


class LastLine(Findings, frozen=True, kw_only=True):
    """What is said at the end: the checker's findings, and how often each verb of the script has happened."""

    fired: dict[str, int]


def run(bars: BarOptions, files: FileOptions, wanted: GatewayOptions) -> None:
    """Listen, play the bars to the end, and say what the ledger shows; SIGTERM and SIGINT end it before."""
    settings = settings_from(files, ShortOptions(market=wanted.market))
    market, calendar = instrument(settings.market), Calendar.load()
    columns = concatenate(list(open_source(bars, market, calendar).columns()))
    orders = OrderMischief([] if wanted.faults is None else read_faults(wanted.faults), wanted.seed)
    gateway = Gateway(columns, calendar, _terms(settings, wanted), orders)
    rhythm = Lockstep(gateway) if wanted.lockstep else _rhythm(wanted.speed)
    play_faults(gateway, orders)
    asyncio.run(_serve(gateway, rhythm, wanted.port))
    if wanted.ledger is not None:
        _keep(wanted.ledger, gateway.ledger.lines())
    found = check(gateway.ledger.entries, until_s=gateway.ledger.now_s)
    said = LastLine(**msgspec.structs.asdict(found), fired=dict(sorted(orders.fired.items())))
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")


async def _serve(gateway: Gateway, rhythm: Rhythm, port: int) -> None:
    loop, playing = asyncio.get_running_loop(), asyncio.timeout(None)

    def leave() -> None:
        playing.reschedule(loop.time())

    await gateway.start(port)
    sys.stdout.write(f"listening at 127.0.0.1:{gateway.port}; {len(gateway.market) - gateway.market.at} bars to play\n")
    sys.stdout.flush()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, leave)
    try:
        async with playing:
            await play(gateway, rhythm)
            await gateway.server.is_empty.wait()
    except TimeoutError:
        if not playing.expired():
            raise
    finally:
        await gateway.close()


def _terms(settings: Settings, wanted: GatewayOptions) -> GatewayTerms:
    market = instrument(settings.market)
    trade = assembly.terms_of_trade(settings, market)
    return GatewayTerms(
        market=market,
        account=AccountTerms(
            name=wanted.account,
            start_cents=trade.start_balance_cents,
            initial_margin_cents=wanted.initial_margin * 100,
            maintenance_margin_cents=wanted.maintenance_margin * 100,
            commission_cents=trade.commission_side_cents,
        ),
        costs=Costs(slippage_ticks=trade.slippage_ticks, through_ticks=trade.target_through_ticks),
        history_bars=wanted.history,
    )


def _rhythm(speed: str) -> Rhythm:
    if speed == "max":
        return AtOnce()
    try:
        seconds = float(speed)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        msg = f"--speed is `max` or seconds of bar time a second, such as 60; not {speed!r}"
        raise UsageError(msg)
    return Timed(seconds, LoopPace())


def _keep(path: Path, lines: bytes) -> None:
    try:
        path.write_bytes(lines)
    except OSError as error:
        msg = f"--ledger {path}: cannot be written ({error.strerror})"
        raise InputError(msg) from None
