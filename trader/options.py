"""Options that commands share, as records: what the command line offers, and what a command is given.

Imports typer and msgspec only: `trader --help` loads this.
"""

import inspect
import typing
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from msgspec import Struct
from msgspec.structs import fields


class BarOptions(Struct, frozen=True, kw_only=True):
    """Which bars, and how to read them; None where the file has to say."""

    bars: Annotated[
        str, typer.Option(help="Bar file (CSV, gz too), a folder of daily ones, or `sample` for the embedded one.")
    ]
    layout: Annotated[
        Literal["auto", "firstrate", "tradingview", "databento", "generic"], typer.Option(help="Layout of the file.")
    ] = "auto"
    tz: Annotated[str | None, typer.Option(help="Zone of naive stamps, if the file cannot prove it.")] = None
    stamp: Annotated[
        Literal["open", "close"] | None, typer.Option(help="Which end of a bar its stamp names, if not proved.")
    ] = None
    rolls: Annotated[
        str | None, typer.Option(help="File of contract rolls, or `none`: one contract, or adjusted prices.")
    ] = None
    contract: Annotated[str | None, typer.Option(help="Contract of a file that names none, such as NQZ23.")] = None
    on_bad_bar: Annotated[
        Literal["stop", "skip"], typer.Option(help="Name the first bad bar, or count and list them.")
    ] = "stop"
    date_from: Annotated[str | None, typer.Option("--from", help="First session, YYYY-MM-DD.")] = None
    date_to: Annotated[str | None, typer.Option("--to", help="Last session, YYYY-MM-DD.")] = None


class LiveBarOptions(BarOptions, frozen=True, kw_only=True):
    """Bars of a daemon: those of a file, or live ones."""

    bars: Annotated[str, typer.Option(help="Of --feed replay: bar file, a folder of daily ones, or `sample`.")] = ""


class FileOptions(Struct, frozen=True, kw_only=True):
    """Which configuration files, and single settings over them."""

    profile: Annotated[str, typer.Option(help="paper or live: which file states the limits.")] = "paper"
    config: Annotated[Path | None, typer.Option(help="Your own YAML over the shipped files.")] = None
    config_dir: Annotated[Path | None, typer.Option(help="Another folder with all shipped files.")] = None
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="One setting: section.key=value. Repeatable.")
    ] = None


class ShortOptions(Struct, frozen=True, kw_only=True):
    """Short forms of `--set` for what is changed often."""

    market: Annotated[str | None, typer.Option(help="ES NQ YM RTY MES MNQ MYM M2K.")] = None
    strategy: Annotated[
        str | None, typer.Option(help="ppo, sma_cross, flat, random_entries, buy_and_hold, or your own file.")
    ] = None
    advisor: Annotated[str | None, typer.Option(help="rules, phi3, openai, ensemble, recorded or off.")] = None
    bundle: Annotated[str | None, typer.Option(help="Model bundle: `embedded` or a folder.")] = None
    on_exhausted: Annotated[str | None, typer.Option(help="stop or renew, when the account is used up.")] = None
    log_dir: Annotated[Path | None, typer.Option(help="Folder of the decision logs.")] = None
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Run a model on bars it was not made for; the report says so.")
    ] = False


class LearnBarOptions(BarOptions, frozen=True, kw_only=True):
    """Which bars to learn from; a training that goes on knows them."""

    bars: Annotated[str, typer.Option(help="Bar file or folder, `sample`, or `synthetic` (with --from and --to).")] = ""


class TrainOptions(Struct, frozen=True, kw_only=True):
    """What is trained, and from where."""

    phase: Annotated[
        Literal["1", "2", "3", "all"], typer.Option(help="1 entries, 2 position management, 3 market context.")
    ] = "all"
    config: Annotated[Path | None, typer.Option(help="Your own YAML over the shipped train.yaml.")] = None
    quick: Annotated[bool, typer.Option("--quick", help="Few steps a phase: to see that everything works.")] = False
    seed: Annotated[list[int] | None, typer.Option(help="Short for --set run.seeds=[...]. Repeatable.")] = None
    name: Annotated[str | None, typer.Option(help="Folder of the run; the next free number if not given.")] = None
    resume: Annotated[str | None, typer.Option(help="Go on with this run's folder; other options are its own.")] = None
    from_bundle: Annotated[
        Path | None, typer.Option(help="Bundle of the phase before; the newest of the runs if not given.")
    ] = None
    validate_from: Annotated[str | None, typer.Option(help="First validation session, after the training's.")] = None
    validate_to: Annotated[str | None, typer.Option(help="Last validation session.")] = None


class TrainFileOptions(Struct, frozen=True, kw_only=True):
    """Which configuration the account, its limits and its costs come from, and single keys over both."""

    profile: Annotated[str, typer.Option(help="paper or live: which file states the limits.")] = "paper"
    trader_config: Annotated[Path | None, typer.Option(help="Your own YAML over the trader's shipped files.")] = None
    config_dir: Annotated[Path | None, typer.Option(help="Another folder with all shipped files.")] = None
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A key of train.yaml or of the trader's files. Repeatable.")
    ] = None

    def files(self) -> FileOptions:
        """The trader's own."""
        return FileOptions(
            profile=self.profile,
            config=self.trader_config,
            config_dir=self.config_dir,
            overrides=self.overrides,
        )


class ExportOptions(Struct, frozen=True, kw_only=True):
    """What a checkpoint does not know about itself, or which bundle of a run is meant."""

    phase: Annotated[Literal["1", "2", "3"] | None, typer.Option(help="Of a run: the last one if not given.")] = None
    seed: Annotated[int | None, typer.Option(help="Of a run: the median one if not given.")] = None
    note: Annotated[str | None, typer.Option(help="Of a run: what a reader must know, after how it was chosen.")] = None
    facts: Annotated[
        Path | None,
        typer.Option(
            help="Of a zip, YAML: name, market, bar_minutes, needs_volume, phase, label (synthetic or in_sample), "
            "note, training {description, sha256, first_session, last_session}."
        ),
    ] = None
    statistics: Annotated[
        Path | None, typer.Option(help="Of a zip: its normaliser, npz or JSON with mean and variance.")
    ] = None
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Run a VecNormalize pickle of yours: it can do anything.")
    ] = False


class LeakOptions(Struct, frozen=True, kw_only=True):
    """How thoroughly leaks are looked for."""

    runs: Annotated[
        int | None, typer.Option(min=1, help="Other futures (40), or other beginnings (6), that are tried.")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Draws where they begin, and what they hold.")] = 1
    limit: Annotated[int, typer.Option(min=1, help="At most so many bars, from the first on.")] = 20_000
    trust: Annotated[
        list[Path] | None,
        typer.Option(help="Data file of the strategy that was known before its dates. Repeatable."),
    ] = None


class EvaluateOptions(Struct, frozen=True, kw_only=True):
    """What is evaluated, and how."""

    model: Annotated[
        list[str],
        typer.Option(help="Bundle: `embedded` or a folder; or a strategy: sma_cross, ... or your file. Repeatable."),
    ]
    market: Annotated[str | None, typer.Option(help="ES NQ YM RTY MES MNQ MYM M2K.")] = None
    advisor: Annotated[str | None, typer.Option(help="rules, phi3, openai, ensemble, recorded or off.")] = None
    in_sample: Annotated[
        bool, typer.Option("--in-sample", help="Evaluate on dates of the training; every page will say so.")
    ] = False
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Run a model on bars it was not made for; every page says so.")
    ] = False
    episodes: Annotated[int | None, typer.Option(min=1, help="At most so many sessions, the first ones.")] = None
    seeds: Annotated[int, typer.Option(min=0, help="Random strategies beside it; the verdict needs 200.")] = 200
    walk_forward: Annotated[
        str | None, typer.Option(help="Sessions: train=120,test=40; also folds=N, anchored, steps=N to train.")
    ] = None
    out: Annotated[Path | None, typer.Option(help="Folder of the result; logs/evaluations/ID if not given.")] = None


class LogOptions(Struct, frozen=True, kw_only=True):
    """Which lines of a decision log; None where anything will do."""

    since: Annotated[str | None, typer.Option("--from", help="Date of a session, or a time of New York.")] = None
    until: Annotated[str | None, typer.Option("--to", help="The same; it belongs to the period.")] = None
    action: Annotated[str | None, typer.Option(help="Final action: BUY, SELL, ...")] = None
    method: Annotated[str | None, typer.Option(help="Fusion method: agreement, weighted, ...")] = None
    veto: Annotated[str | None, typer.Option(help="A rule that blocked the decision.")] = None
    vetoed: Annotated[bool, typer.Option("--vetoed", help="Decisions that any rule blocked.")] = False
    orders: Annotated[bool, typer.Option("--orders", help="Bars at which an order left.")] = False
    fills: Annotated[bool, typer.Option("--fills", help="Bars with executions.")] = False
    reasons: Annotated[bool, typer.Option("--reasons", help="Why the advisor said what it said.")] = False


class AskOptions(Struct, frozen=True, kw_only=True):
    """The figures of one question to the advisor: prices, ATR and momentum in points, the VWAP distance a fraction."""

    price: Annotated[float, typer.Option(min=0.01, help="Close of the bar.")] = 12_000.0
    atr: Annotated[float, typer.Option(min=0.01, help="ATR(14), points.")] = 10.0
    adx: Annotated[float, typer.Option(min=0, max=100, help="ADX(14).")] = 25.0
    rsi: Annotated[float, typer.Option(min=0, max=100, help="RSI(14).")] = 55.0
    vwap_distance: Annotated[float, typer.Option(min=-0.5, max=0.5, help="0.001 is 0.1 % above the VWAP.")] = 0.001
    momentum: Annotated[float, typer.Option(help="Points over 20 bars.")] = 12.5
    position: Annotated[Literal["flat", "long", "short"], typer.Option(help="What is held.")] = "flat"
    entry: Annotated[float | None, typer.Option(help="Entry price; the price itself if not given.")] = None
    stop: Annotated[float | None, typer.Option(help="Stop price; execution.stop_atr away if not given.")] = None
    trailing: Annotated[bool, typer.Option("--trailing", help="The stop trails.")] = False
    win_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of recent trades won.")] = 0.5
    losses: Annotated[int, typer.Option(min=0, help="Losses in a row.")] = 0
    balance: Annotated[float, typer.Option(min=0, help="USD.")] = 50_000.0
    time: Annotated[str, typer.Option(help="Of New York.")] = "2023-03-15 10:00"


class ServeOptions(Struct, frozen=True, kw_only=True):
    """Where the model is served, and to whom."""

    socket: Annotated[Path | None, typer.Option(help="Path of a unix socket; it is made for its owner only.")] = None
    host: Annotated[str | None, typer.Option(help="127.0.0.1 or ::1; others are refused: use a proxy.")] = None
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="8000 if not given; 0 takes a free one.")] = None
    credential: Annotated[Path | None, typer.Option(help="File with the bearer token that requests must bring.")] = None
    queue: Annotated[int, typer.Option(min=1, max=1_000, help="Questions that may wait; more get a 503.")] = 16


class PrefillOptions(Struct, frozen=True, kw_only=True):
    """How a recording of a language model's answers is filled."""

    out: Annotated[
        Path | None, typer.Option(help="Recording to begin or go on with; one in state.dir/recordings if not given.")
    ] = None
    passes: Annotated[int, typer.Option(min=1, max=1_000, help="Answer what is new at most so often.")] = 5
    batch: Annotated[int, typer.Option(min=1, max=1_024, help="Questions that are scored together.")] = 16
    complete: Annotated[
        bool, typer.Option("--complete", help="Then answer what is still missing one by one, in one more replay.")
    ] = False


class FitOptions(Struct, frozen=True, kw_only=True):
    """What calibration and thresholds are fitted from, and where they go."""

    recording: Annotated[Path, typer.Option(help="Recording of `trader advisor prefill` on these bars.")]
    out: Annotated[Path, typer.Option(help="File of the result, for advisor.calibration.fitted.")]


class GatewayOptions(Struct, frozen=True, kw_only=True):
    """What the simulated gateway plays, and to whom."""

    market: Annotated[str | None, typer.Option(help="ES NQ YM RTY MES MNQ MYM M2K.")] = None
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of 127.0.0.1; 0 takes a free one.")] = 4002
    speed: Annotated[str, typer.Option(help="Seconds of bar time a second, or `max`.")] = "60"
    lockstep: Annotated[bool, typer.Option("--lockstep", help="Each bar waits for one client's probes.")] = False
    faults: Annotated[Path | None, typer.Option(help="Script of what goes wrong: YAML, or JSON lines.")] = None
    seed: Annotated[int, typer.Option(help="Of the script's probabilities.")] = 1
    history: Annotated[int, typer.Option(min=1, help="Bars that have closed before the first that is played.")] = 1_000
    account: Annotated[str, typer.Option(help="Account number that clients are told.")] = "DU1234567"
    initial_margin: Annotated[int, typer.Option(min=0, help="Dollars a contract; more is rejected by 201.")] = 20_000
    maintenance_margin: Annotated[int, typer.Option(min=0, help="Dollars a contract, as it is told.")] = 18_000
    ledger: Annotated[Path | None, typer.Option(help="File for all that happened, as JSON lines.")] = None


def takes(**groups: type[Struct]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Offer the options of `groups` on a command, which receives each group as one record under its own name."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name not in groups]
        offered = [parameter for group in groups.values() for parameter in _parameters(group)]

        @wraps(command)
        def offering(**given: Any) -> None:
            records = {
                name: group(**{field.name: given.pop(field.name) for field in fields(group)})
                for name, group in groups.items()
            }
            command(**records, **given)

        together = sorted([*own, *offered], key=lambda p: p.default is not p.empty)
        keywords = [p.replace(kind=p.KEYWORD_ONLY) for p in together]
        offering.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined] # what typer reads
        offering.__annotations__ = {p.name: p.annotation for p in keywords}
        return offering

    return decorate


def _parameters(group: type[Struct]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.required else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
