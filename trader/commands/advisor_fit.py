"""`trader advisor fit`: what an advisor begins with, found on training dates by backtests on a recording."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from trader.adapters.columns import concatenate
from trader.adapters.fitted import Fitted, check_writable, write_fitted
from trader.adapters.recording_file import read_recording
from trader.advisor.hedge import REGIMES
from trader.analysis.fit import GRID, Worth
from trader.backends import prompt_maker
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import UsageError
from trader.evaluation.fit import Fitting
from trader.evaluation.runs import Market
from trader.options import BarOptions, FileOptions, FitOptions, ShortOptions

BACKTESTS = 1 + len(REGIMES) * len(GRID)
LINES = 10


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: FitOptions, *, as_json: bool) -> None:
    """Fit, write the result, and say what it is worth on the dates that it was found on: in-sample."""
    if bars.date_from is None or bars.date_to is None:
        msg = "a fit needs its training dates: give --from and --to; what it finds may be used on later dates only"
        raise UsageError(msg)
    check_writable(wanted.out)
    settings = settings_from(replace(files, overrides=_overrides(files, wanted.recording)), short)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    market = Market(columns=concatenate(list(source.columns())), facts=facts_for_log(source, bars))
    recording = read_recording(wanted.recording)
    for note in recording.notes:
        sys.stderr.write(f"{note}\n")
    result = Fitting(market, settings, recording, prompt_maker(settings), _tell()).fit()
    fitted = Fitted(
        head=recording.head,
        market=settings.market,
        bars_source=market.facts.source,
        bars_sha256=market.facts.sha256,
        first_session=result.first_session,
        last_session=result.last_session,
        strategy=settings.strategy.name,
        calibration=result.calibration,
        thresholds=result.found.thresholds,
        before=result.found.before,
        after=result.found.after,
        tried=result.found.tried,
    )
    write_fitted(wanted.out, fitted)
    sys.stdout.write(_document(wanted.out, fitted) if as_json else _table(wanted.out, fitted))


def _overrides(files: FileOptions, recording: Path) -> list[str]:
    """A fit begins with nothing learned, and learns."""
    return [
        *(files.overrides or []),
        'advisor.backend="recorded"',
        f"advisor.recorded_from={json.dumps(str(recording))}",
        "advisor.calibration.fitted=null",
        "advisor.calibration.learns=true",
    ]


def _tell() -> Callable[[], None]:
    """How many of the backtests at most are done: one line that changes on a terminal, a few JSON lines off it."""
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of at most {BACKTESTS} backtests ")
            sys.stderr.flush()
        elif done * LINES // BACKTESTS != (done - 1) * LINES // BACKTESTS:
            sys.stderr.write(json.dumps({"progress": "fit", "backtests": done, "at_most": BACKTESTS}) + "\n")

    return tell


def _document(path: Path, fitted: Fitted) -> str:
    document = {
        "out": str(path),
        "sha256": fitted.sha256,
        "first_session": fitted.first_session,
        "last_session": fitted.last_session,
        "thresholds": fitted.thresholds,
        "before": fitted.before,
        "after": fitted.after,
        "outcomes": [len(one.numbers) for one in fitted.calibration.calibrators],
    }
    return msgspec.json.encode(document).decode() + "\n"


def _table(path: Path, fitted: Fitted) -> str:
    bounds = [
        f"regime {regime:+d}: override_high {at.override_high:g}, uncertain_below {at.uncertain_below:g}"
        for regime, at in sorted(fitted.thresholds.items())
    ]
    outcomes = sum(len(one.numbers) for one in fitted.calibration.calibrators)
    return "\n".join(
        [
            f"Fitted on {fitted.first_session} to {fitted.last_session}: results on these dates are in-sample.",
            f"Calibration: {outcomes:,} outcomes of {fitted.head.answered_by}",
            *bounds,
            f"bounds in force: {_worth(fitted.before)}",
            f"bounds found:    {_worth(fitted.after)}, the best of {len(fitted.tried)} tried",
            f"Use it with: --set advisor.calibration.fitted={path}",
            "",
        ]
    )


def _worth(worth: Worth) -> str:
    mean = "no trades" if worth.mean_r is None else f"{worth.mean_r:+.3f} R a trade, {worth.trades:,} trades"
    return f"{mean} ({worth.questions:,} questions, {worth.stood_in:,} stood in for, {worth.missing:,} missing)"
