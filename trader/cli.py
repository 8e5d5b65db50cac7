"""The `trader` command: options in, exit codes out. Each command's body is imported when it runs."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from trader.errors import TraderError
from trader.options import (
    AskOptions,
    BarOptions,
    EvaluateOptions,
    ExportOptions,
    FileOptions,
    FitOptions,
    GatewayOptions,
    LeakOptions,
    LearnBarOptions,
    LiveBarOptions,
    LogOptions,
    PrefillOptions,
    ServeOptions,
    ShortOptions,
    TrainFileOptions,
    TrainOptions,
    takes,
)

app = typer.Typer(
    name="trader",
    help="Trades NQ futures: a PPO agent on every bar, an advisor when it matters, a risk review that can veto both.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
bench_app = typer.Typer(help="The speed and size figures of this machine.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")
check_app = typer.Typer()
app.add_typer(check_app, name="check")
advisor_app = typer.Typer(
    help="The language model: try it, measure it, serve it, prepare backtests with it.", no_args_is_help=True
)
app.add_typer(advisor_app, name="advisor")

AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
StateDir = Annotated[
    Path | None, typer.Option("--state", help="The daemon's state folder; state.dir of the configuration if not given.")
]
LogPath = Annotated[Path, typer.Argument(help="A run's folder, one of its files, or the folder of all runs (newest).")]


@app.command()
@takes(bars=BarOptions, files=FileOptions, short=ShortOptions)
def backtest(
    bars: BarOptions,
    files: FileOptions,
    short: ShortOptions,
    *,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Write the decision log.")] = True,
    as_json: AsJson = False,
) -> None:
    """Replay a bar file through the whole line and report what came of it."""
    from trader.commands import backtest as command

    command.run(bars, files, short, keeps_log=log, as_json=as_json)


@app.command()
@takes(bars=LiveBarOptions, files=FileOptions, short=ShortOptions)
def run(  # noqa: PLR0913, PLR0917 -- each is an option
    bars: BarOptions,
    files: FileOptions,
    short: ShortOptions,
    feed: Annotated[str, typer.Option(help="replay: bars of a file, in their own time; ib: live bars.")] = "replay",
    broker: Annotated[str, typer.Option(help="paper: simulated fills; ib: Interactive Brokers.")] = "paper",
    speed: Annotated[str, typer.Option(help="Of a replay: seconds of bar time a second, or `max`.")] = "60",
    minutes: Annotated[
        int | None, typer.Option(min=1, max=15, help="Live bars' length; the model's if not given.")
    ] = None,
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Of a replay: keep the account, go on where it stood.")
    ] = False,
    lockstep: Annotated[bool, typer.Option("--lockstep", help="In step with `trader gateway-sim --lockstep`.")] = False,
) -> None:
    """Run the daemon: bars arrive in time, orders go to the broker; SIGTERM drains and exits 0."""
    from trader.commands import run as command
    from trader.commands.run_plan import Wiring

    wiring = Wiring(feed=feed, broker=broker, speed=speed, resumes=resume, lockstep=lockstep, minutes=minutes)
    command.run(bars, files, short, wiring)


@app.command()
def status(state: StateDir = None, *, as_json: AsJson = False) -> None:
    """How the running daemon stands: position, equity, room to each limit, vetoes; exit 75 where none answers."""
    _say("status", state, as_json=as_json)


@app.command()
def pause(state: StateDir = None, *, as_json: AsJson = False) -> None:
    """No entries until `resume`; stops and targets stay."""
    _say("pause", state, as_json=as_json)


@app.command()
def resume(
    state: StateDir = None,
    *,
    clear_kill: Annotated[bool, typer.Option("--clear-kill", help="Lift the kill switch as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Lift a pause."""
    _say("resume", state, as_json=as_json, clear_kill=clear_kill)


@app.command()
@takes(files=FileOptions)
def flatten(files: FileOptions, state: StateDir = None, *, as_json: AsJson = False) -> None:
    """Close the position at the market, then pause; at the broker itself where no daemon answers. Exit 1: not flat."""
    from trader.commands import flatten as command

    raise typer.Exit(command.run(files, state, as_json=as_json))


@app.command()
def kill(state: StateDir = None, *, as_json: AsJson = False) -> None:
    """No entries, over restarts too, until `resume --clear-kill`; stops and targets stay."""
    _say("kill", state, as_json=as_json)


@app.command()
def reset(
    rule: Annotated[
        str, typer.Argument(help="consecutive_losses, low_win_rate, drawdown_proximity or trailing_breach.")
    ],
    state: StateDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """End a rule that blocks entries; refused where it would block them again at once."""
    _say("reset", state, as_json=as_json, rule=rule)


def _say(name: str, state: Path | None, *, as_json: bool, rule: str | None = None, clear_kill: bool = False) -> None:
    from trader.adapters.control.messages import CommandName, Request
    from trader.commands import control as command

    request = Request(
        command=CommandName(name), rule=None if rule is None else command.rule_named(rule), clear_kill=clear_kill
    )
    raise typer.Exit(command.run(request, state, as_json=as_json))


@check_app.callback(invoke_without_command=True)
@takes(files=FileOptions)
def check(
    context: typer.Context,
    files: FileOptions,
    *,
    warm: Annotated[bool, typer.Option("--warm", help="Compile the kernels into their cache as well.")] = False,
    arm_live: Annotated[
        bool, typer.Option("--arm-live", help="Print the token that lets this configuration trade real money.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Validate configuration and model; exit 78 names what is wrong. Or look for leaks: exit 1 where there is one."""
    if context.invoked_subcommand is not None:
        return
    from trader.commands import check as command

    command.run(files, warms=warm, as_json=as_json, arms=arm_live)


@check_app.command()
@takes(bars=BarOptions, files=FileOptions, short=ShortOptions, wanted=LeakOptions)
def lookahead(
    bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions, *, as_json: AsJson = False
) -> None:
    """Decisions stay as they are, byte for byte, whatever the bars after them; exit 1 shows one that does not."""
    from trader.commands import lookahead as command

    command.run(bars, files, short, wanted, as_json=as_json)


@check_app.command()
@takes(bars=BarOptions, files=FileOptions, short=ShortOptions, wanted=LeakOptions)
def recursive(
    bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions, *, as_json: AsJson = False
) -> None:
    """Features and proposals do not depend on where the history begins, once settled; exit 1 shows what does."""
    from trader.commands import recursive as command

    command.run(bars, files, short, wanted, as_json=as_json)


@app.command()
@takes(wanted=LogOptions)
def logs(
    wanted: LogOptions,
    path: LogPath = Path("logs"),
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many lines.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the last so many of those that are there.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is still being written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the decision log: a table for people, or its lines for `jq`."""
    from trader.analysis import logs as body
    from trader.analysis import selection as choose

    selection = choose.Selection(
        since=None if wanted.since is None else choose.bound(wanted.since),
        until=None if wanted.until is None else choose.bound(wanted.until),
        action=None if wanted.action is None else choose.action_named(wanted.action),
        method=None if wanted.method is None else choose.method_named(wanted.method),
        veto=None if wanted.veto is None else choose.rule_named(wanted.veto),
        vetoed=wanted.vetoed,
        with_orders=wanted.orders,
        with_fills=wanted.fills,
    )
    view = body.View(
        as_json=as_json, in_colour=sys.stdout.isatty(), limit=limit, last=last, with_reasons=wanted.reasons
    )
    body.run_logs(path, selection, view, sys.stdout, wait=body.sleeping() if follow else None)


@app.command()
def verify(path: LogPath = Path("logs"), *, as_json: AsJson = False) -> None:
    """Prove a decision log unbroken; exit 1 names the first line that is not what was written."""
    from trader.analysis.verify import run_verify

    raise typer.Exit(run_verify(path, as_json=as_json, out=sys.stdout))


@app.command()
@takes(options=TrainOptions, bars=LearnBarOptions, files=TrainFileOptions)
def train(options: TrainOptions, bars: LearnBarOptions, files: TrainFileOptions, *, as_json: AsJson = False) -> None:
    """Train a policy in three phases of PPO; Ctrl-C saves, and --resume goes on."""
    from trader.commands import train as command

    command.run(options, bars, files.files(), as_json=as_json)


@app.command()
@takes(wanted=EvaluateOptions, bars=BarOptions, files=FileOptions)
def evaluate(wanted: EvaluateOptions, bars: BarOptions, files: FileOptions, *, as_json: AsJson = False) -> None:
    """Say what a model is worth on these bars, beside luck, baselines and placebos; `trader report` makes the page."""
    from trader.commands import evaluate as command

    command.run(wanted, bars, files, as_json=as_json)


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(help="Output folder of `trader evaluate`, or the folder of all of them (newest).")
    ] = Path("logs/evaluations"),
    out: Annotated[Path | None, typer.Option(help="The page; `report.html` in the folder if not named.")] = None,
    *,
    png: Annotated[bool, typer.Option("--png", help="Pictures as well; needs the extra `report`.")] = False,
) -> None:
    """Make an evaluation's page, one file that opens offline, and its trades for a trade journal."""
    from trader.commands import report as command

    command.run(folder, out, draws_pictures=png)


@app.command()
@takes(options=ExportOptions)
def export(
    options: ExportOptions,
    source: Annotated[Path, typer.Argument(help="A run of `trader train`, or the zip of a MaskablePPO model.")],
    out: Annotated[Path, typer.Argument(help="Folder of the bundle to write.")],
) -> None:
    """Write the bundle of a run's median seed, or convert a MaskablePPO checkpoint; nothing in it is unpickled."""
    from trader.commands import export as command

    command.run(source, out, options)


@app.command(name="gateway-sim")
@takes(bars=BarOptions, files=FileOptions, wanted=GatewayOptions)
def gateway_sim(bars: BarOptions, files: FileOptions, wanted: GatewayOptions) -> None:
    """Play a broker on this machine: clients of Interactive Brokers' interface trade against bars of a file."""
    from trader.commands import gateway_sim as command

    command.run(bars, files, wanted)


@advisor_app.command()
@takes(wanted=AskOptions, files=FileOptions)
def ask(wanted: AskOptions, files: FileOptions, *, as_json: AsJson = False) -> None:
    """Ask one question by hand; exit 1 where there is no advice. `--set advisor.backend=phi3` asks the model."""
    from trader.commands import advisor_ask as command

    raise typer.Exit(command.run(files, wanted, as_json=as_json))


@advisor_app.command(name="bench")
@takes(files=FileOptions)
def bench_advisor(
    files: FileOptions,
    shape: Annotated[
        Literal["auto", "configured", "true", "reduced"],
        typer.Option(help="The configured model, or random weights in Phi-3-mini's shape, whole or its first layers."),
    ] = "auto",
    queries: Annotated[int, typer.Option(min=1, help="Timed queries of each kind.")] = 300,
    *,
    as_json: AsJson = False,
) -> None:
    """Measure the language model's latency here, beside the least that it could take on three cards."""
    from trader.commands import advisor_bench as command

    command.run(files, as_json=as_json, shape=shape, queries=queries)


@advisor_app.command()
@takes(wanted=ServeOptions, files=FileOptions)
def serve(wanted: ServeOptions, files: FileOptions) -> None:
    """Serve the configured model to several daemons, as OpenAI's chat completions; SIGTERM ends it."""
    from trader.commands import advisor_serve as command

    command.run(files, wanted)


@advisor_app.command()
@takes(bars=BarOptions, files=FileOptions, short=ShortOptions, wanted=PrefillOptions)
def prefill(
    bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: PrefillOptions, *, as_json: AsJson = False
) -> None:
    """Record what a model answers to all that a backtest asks, so that it can be repeated without the model."""
    from trader.commands import advisor_prefill as command

    raise typer.Exit(command.run(bars, files, short, wanted, as_json=as_json))


@advisor_app.command()
@takes(bars=BarOptions, files=FileOptions, short=ShortOptions, wanted=FitOptions)
def fit(
    bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: FitOptions, *, as_json: AsJson = False
) -> None:
    """Fit calibration and fusion bounds to training dates, on a recording; about 75 backtests."""
    from trader.commands import advisor_fit as command

    command.run(bars, files, short, wanted, as_json=as_json)


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


@bench_app.command(name="train")
def bench_train(
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "512-256-128",
    repeats: Annotated[int, typer.Option(min=1, help="Measurements of each kind; the median counts.")] = 3,
    *,
    as_json: AsJson = False,
) -> None:
    """Steps per second of process CPU time: environment, learner, and stable-baselines3 as it is usually set up."""
    from trader.commands import bench_train as command

    command.run(hidden, repeats, as_json=as_json)


@bench_app.command(hidden=True)
def memory(bars: Path) -> None:
    """Backtest a file without a log and print this process's peak memory; `engine` calls it."""
    from trader.commands.bench import run_memory

    run_memory(bars)


def main() -> None:
    """The console entry point: errors that name a remedy end here, with their exit code."""
    try:
        app()
    except TraderError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
