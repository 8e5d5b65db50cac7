"""`trader advisor fit` writes what it found, with the dates that it was found on."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from prefill_builders import HEAD, Bars, Model

from trader.adapters.columns import concatenate
from trader.adapters.fitted import load_fitted
from trader.adapters.recording_file import RecordingFile
from trader.backends import prompt_maker
from trader.commands import advisor_fit
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError, UsageError
from trader.evaluation.prefill import AnsweredAtOnce
from trader.evaluation.runs import Market
from trader.options import BarOptions, FileOptions, FitOptions, ShortOptions

BARS = BarOptions(bars="sample", date_from="2019-11-25", date_to="2019-11-25")
FILES = FileOptions(overrides=["fusion.query_interval=20", "advisor.triggers.low_confidence=false"])


def recording_of(path: Path) -> Path:
    """All that a backtest of one session of the sample asks, answered by dice."""
    settings = settings_from(FILES, ShortOptions(advisor="phi3"))
    source = open_source(BARS, instrument("NQ"), Calendar.load())
    market = Market(columns=concatenate(list(source.columns())), facts=facts_for_log(source, BARS))
    prompts = prompt_maker(settings)
    with RecordingFile(path, replace(HEAD, prompt=prompts.identity)) as file:
        bars = Bars(file, settings, market)
        bars.watched(AnsweredAtOnce(bars.recorded(), Model(), file, prompts))
    return path


def test_fit_writes_bounds_and_calibration_with_their_dates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole search on one session; the file says on what it was found."""
    out = tmp_path / "fit.json"
    wanted = FitOptions(recording=recording_of(tmp_path / "r.jsonl"), out=out)
    advisor_fit.run(BARS, FILES, ShortOptions(), wanted, as_json=True)
    document, fitted = json.loads(capsys.readouterr().out), load_fitted(out)
    assert (fitted.first_session, fitted.last_session) == ("2019-11-25", "2019-11-25")
    assert (fitted.head.identity, fitted.market, fitted.strategy) == ("dice", "NQ", "ppo")
    assert len(fitted.tried) == 3 * 24
    assert fitted.before.missing == 0
    assert fitted.before.questions > 10
    assert document["sha256"] == fitted.sha256
    assert document["outcomes"] == [len(one.numbers) for one in fitted.calibration.calibrators]


def test_fit_without_training_dates_is_refused(tmp_path: Path) -> None:
    """Whoever fits on everything has nothing left to judge by."""
    wanted = FitOptions(recording=tmp_path / "r.jsonl", out=tmp_path / "fit.json")
    for bars in (replace(BARS, date_from=None), replace(BARS, date_to=None)):
        with pytest.raises(UsageError, match="--from and --to"):
            advisor_fit.run(bars, FILES, ShortOptions(), wanted, as_json=True)


def test_fit_that_could_not_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    """A folder is no file."""
    wanted = FitOptions(recording=tmp_path / "r.jsonl", out=tmp_path)
    with pytest.raises(InputError, match="it is a folder"):
        advisor_fit.run(BARS, FILES, ShortOptions(), wanted, as_json=True)
