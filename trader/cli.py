"""The `trader` command: options in, exit codes out. Each command's body is imported when it runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from trader.errors import TraderError

app = typer.Typer(
    name="trader",
    help="Trades NQ futures: a PPO agent on every bar, an advisor when it matters, a risk review that can veto both.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Bars = Annotated[str, typer.Option("--bars", help="Bar file (CSV, gz too), or `sample` for the embedded one.")]
Market = Annotated[str | None, typer.Option(help="ES NQ YM RTY MES MNQ MYM M2K; default: the configuration's.")]
Layout = Annotated[str, typer.Option(help="auto, firstrate, tradingview or generic.")]
Zone = Annotated[str | None, typer.Option("--tz", help="Zone of naive stamps, if the file cannot prove it.")]
Stamp = Annotated[str | None, typer.Option(help="open or close: which end of a bar its stamp names.")]
Rolls = Annotated[str | None, typer.Option(help="File of contract rolls, or `none`: one contract, or adjusted prices.")]
Contract = Annotated[str | None, typer.Option(help="Contract of a file that does not name it, such as NQZ23.")]
OnBadBar = Annotated[str, typer.Option(help="stop (name the first bad bar) or skip (count and list them).")]
From = Annotated[str | None, typer.Option("--from", help="First session, YYYY-MM-DD.")]
To = Annotated[str | None, typer.Option("--to", help="Last session, YYYY-MM-DD.")]
Config = Annotated[Path | None, typer.Option("--config", help="Your own YAML over the shipped files.")]
ConfigDir = Annotated[Path | None, typer.Option(help="Another folder with all shipped files.")]
Profile = Annotated[str, typer.Option(help="paper or live: which file states the limits.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="One setting: section.key=value. Repeatable.")]
Strategy = Annotated[str | None, typer.Option(help="ppo, sma_cross, flat, random_entries, buy_and_hold, or your file.")]
Advisor = Annotated[str | None, typer.Option(help="rules, recorded or off.")]
Bundle = Annotated[str | None, typer.Option(help="Model bundle: `embedded` or a folder.")]
AllowMismatch = Annotated[bool, typer.Option("--allow-mismatch", help="Run a model on bars it was not trained for.")]
OnExhausted = Annotated[str | None, typer.Option(help="stop or renew, when the account is used up.")]
LogDir = Annotated[Path | None, typer.Option(help="Folder of the decision logs; default: the configuration's.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]


@app.command()
def backtest(
    bars: Bars,
    market: Market = None,
    layout: Layout = "auto",
    tz: Zone = None,
    stamp: Stamp = None,
    rolls: Rolls = None,
    contract: Contract = None,
    on_bad_bar: OnBadBar = "stop",
    date_from: From = None,
    date_to: To = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: Profile = "paper",
    overrides: Overrides = None,
    strategy: Strategy = None,
    advisor: Advisor = None,
    bundle: Bundle = None,
    on_exhausted: OnExhausted = None,
    log_dir: LogDir = None,
    *,
    allow_mismatch: AllowMismatch = False,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Write the decision log.")] = True,
    as_json: AsJson = False,
) -> None:
    """Replay a bar file through the whole line and report what came of it."""
    from trader.commands import backtest as command
    from trader.commands.common import SettingOptions, bar_options

    command.run(
        bar_options(bars, layout, tz, stamp, rolls, contract, on_bad_bar, date_from, date_to),
        SettingOptions(
            profile, config_dir, config, overrides or [], market, strategy, advisor, bundle, on_exhausted,
            log_dir, allow_mismatch,
        ),
        keeps_log=log,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def run(
    bars: Bars,
    feed: Annotated[str, typer.Option(help="replay: bars of a file, in their own time.")] = "replay",
    broker: Annotated[str, typer.Option(help="paper: simulated fills.")] = "paper",
    speed: Annotated[str, typer.Option(help="Seconds of bar time a second, or `max`.")] = "60",
    market: Market = None,
    layout: Layout = "auto",
    tz: Zone = None,
    stamp: Stamp = None,
    rolls: Rolls = None,
    contract: Contract = None,
    on_bad_bar: OnBadBar = "stop",
    date_from: From = None,
    date_to: To = None,
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: Profile = "paper",
    overrides: Overrides = None,
    strategy: Strategy = None,
    advisor: Advisor = None,
    bundle: Bundle = None,
    on_exhausted: OnExhausted = None,
    log_dir: LogDir = None,
    *,
    allow_mismatch: AllowMismatch = False,
    as_json: AsJson = False,
) -> None:
    """Run the daemon: bars arrive in time, orders go to the broker; SIGTERM drains and exits 0."""
    from trader.commands import run as command
    from trader.commands.common import SettingOptions, bar_options

    command.run(
        bar_options(bars, layout, tz, stamp, rolls, contract, on_bad_bar, date_from, date_to),
        SettingOptions(
            profile, config_dir, config, overrides or [], market, strategy, advisor, bundle, on_exhausted,
            log_dir, allow_mismatch,
        ),
        command.Wiring(feed, broker, speed),
        as_json=as_json,
    )  # fmt: skip


@app.command()
def check(
    config: Config = None,
    config_dir: ConfigDir = None,
    profile: Profile = "paper",
    overrides: Overrides = None,
    *,
    warm: Annotated[bool, typer.Option("--warm", help="Compile the kernels into their cache as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Validate configuration and model; exit 78 names what is wrong."""
    from trader.commands import check as command
    from trader.commands.common import SettingOptions

    command.run(SettingOptions(profile, config_dir, config, overrides or []), warms=warm, as_json=as_json)


LogPath = Annotated[Path, typer.Argument(help="A run's folder, one of its files, or the folder of all runs (newest).")]


@app.command()
def logs(
    path: LogPath = Path("logs"),
    since: Annotated[str | None, typer.Option("--from", help="Date of a session, or a time of New York.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same; it belongs to the period.")] = None,
    action: Annotated[str | None, typer.Option(help="Final action: BUY, SELL, ...")] = None,
    method: Annotated[str | None, typer.Option(help="Fusion method: agreement, weighted, ...")] = None,
    veto: Annotated[str | None, typer.Option(help="A rule that blocked the decision.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many lines.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the last so many of those that are there.")] = None,
    *,
    vetoed: Annotated[bool, typer.Option("--vetoed", help="Decisions that any rule blocked.")] = False,
    orders: Annotated[bool, typer.Option("--orders", help="Bars at which an order left.")] = False,
    fills: Annotated[bool, typer.Option("--fills", help="Bars with executions.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is still being written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the decision log: a table for people, or its lines for `jq`."""
    from trader.analysis import logs as body
    from trader.analysis import selection as choose

    selection = choose.Selection(
        since=None if since is None else choose.bound(since),
        until=None if until is None else choose.bound(until),
        action=None if action is None else choose.action_named(action),
        method=None if method is None else choose.method_named(method),
        veto=None if veto is None else choose.rule_named(veto),
        vetoed=vetoed,
        with_orders=orders,
        with_fills=fills,
    )
    view = body.View(as_json=as_json, in_colour=sys.stdout.isatty(), limit=limit, last=last)
    body.run_logs(path, selection, view, sys.stdout, wait=body.sleeping() if follow else None)


@app.command()
def verify(path: LogPath = Path("logs"), *, as_json: AsJson = False) -> None:
    """Prove a decision log unbroken; exit 1 names the first line that is not what was written."""
    from trader.analysis.verify import run_verify

    raise typer.Exit(run_verify(path, as_json=as_json, out=sys.stdout))


bench_app = typer.Typer(help="The speed and size figures of this machine.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")


@bench_app.command()
def engine(
    bars: Annotated[int, typer.Option(min=10_000, help="One-minute bars a run.")] = 200_000,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each kind; the median counts.")] = 3,
    *,
    as_json: AsJson = False,
) -> None:
    """Bars per second of process CPU time, latency of a live bar, peak memory of a long file."""
    from trader.commands.bench import run_engine

    run_engine(bars, repeats, as_json=as_json)


@bench_app.command(hidden=True)
def memory(bars: Path) -> None:
    """Backtest a file without a log and print this process's peak memory: `engine` calls it in a process of its own."""
    from trader.commands.bench import run_memory

    run_memory(bars)


def main() -> None:
    """The console entry point: errors that name a remedy end here, with their exit code."""
    try:
        app()
    except TraderError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
