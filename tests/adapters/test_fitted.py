"""The result of a fit is read whole or refused by name."""

import msgspec
import pytest
from msgspec.structs import replace
from recording_builders import HEAD

from trader.adapters.fitted import Fitted, check_writable, load_fitted, write_fitted
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.analysis.fit import Tried, Worth
from trader.errors import InputError
from trader.learning import Thresholds

RULES = CalibrationRules(mode=CalibrationMode.RELATIVE, legal_mass_min=0.2, learns=True)
BOUNDS = Thresholds(override_high=0.9, uncertain_below=0.5)
WORTH = Worth(trades=10, mean_r=-0.1, questions=50, stood_in=1, missing=2)
FITTED = Fitted(
    head=HEAD,
    market="NQ",
    bars_source="nq.csv",
    bars_sha256="5" * 64,
    first_session="2022-01-03",
    last_session="2022-06-30",
    strategy="ppo",
    calibration=replace(Calibration(RULES, 3.0).state(), pending=()),
    thresholds={-1: BOUNDS, 0: BOUNDS, 1: replace(BOUNDS, override_high=0.95)},
    before=WORTH,
    after=WORTH,
    tried=(Tried(regime=-1, thresholds=BOUNDS, worth=WORTH),),
)


def test_fitted_result_is_read_as_it_was_written(tmp_path):
    """Everything, to the last bit; known by the same hash."""
    path = tmp_path / "deep" / "fit.json"
    write_fitted(path, FITTED)
    read = load_fitted(path)
    assert read == FITTED
    assert read.sha256 == FITTED.sha256
    assert [entry.name for entry in path.parent.iterdir()] == ["fit.json"]


def test_fitted_result_is_known_by_what_it_holds():
    """Another date is another result."""
    assert replace(FITTED, last_session="2022-07-01").sha256 != FITTED.sha256


def test_fitted_calibration_can_be_gone_on_from(tmp_path):
    """What was read restores a calibration."""
    write_fitted(tmp_path / "fit.json", FITTED)
    calibration = Calibration(RULES, 3.0)
    calibration.restore(load_fitted(tmp_path / "fit.json").calibration)
    assert calibration.state() == FITTED.calibration


def test_fitted_result_that_is_missing_names_file_and_remedy(tmp_path):
    """As every file of the user's."""
    with pytest.raises(InputError, match=r"advisor.calibration.fitted.*none.json.*trader advisor fit"):
        load_fitted(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 1}', b"\xff", b"{"])
def test_fitted_result_that_is_something_else_is_refused(tmp_path, content):
    """Nothing is guessed."""
    path = tmp_path / "fit.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"fit.json is no result .*make it anew"):
        load_fitted(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version 2"),
        ({"thresholds": {0: BOUNDS}}, r"regimes \[0\]"),
        ({"thresholds": {-1: BOUNDS, 0: BOUNDS, 1: replace(BOUNDS, override_high=1.5)}}, "regime 1"),
        ({"calibration": replace(FITTED.calibration, rates=FITTED.calibration.rates[:2])}, "6 actions"),
        ({"calibration": replace(FITTED.calibration, calibrators=())}, "6 actions"),
        ({"first_session": "2022-07-01"}, "no period"),
    ],
)
def test_fitted_result_that_cannot_be_used_says_why(tmp_path, changes, words):
    """Well-formed is not enough."""
    path = tmp_path / "fit.json"
    path.write_bytes(msgspec.json.encode(replace(FITTED, **changes)))
    with pytest.raises(InputError, match=words):
        load_fitted(path)


def test_fitted_result_replaces_the_old_one_whole_or_not_at_all(tmp_path):
    """What is there stays where the new one cannot be written."""
    path = tmp_path / "fit.json"
    write_fitted(path, FITTED)
    newer = replace(FITTED, last_session="2022-07-01")
    write_fitted(path, newer)
    assert load_fitted(path) == newer
    (tmp_path / "fit.json.part").mkdir()
    with pytest.raises(InputError, match=r"fit.json cannot be written"):
        write_fitted(path, FITTED)
    assert load_fitted(path) == newer


def test_fitted_result_is_refused_before_the_work_where_it_could_not_be_written(tmp_path):
    """And a place that is fine is left as it was."""
    check_writable(tmp_path / "deep" / "fit.json")
    assert list((tmp_path / "deep").iterdir()) == []
    for path in (tmp_path, tmp_path / "deep"):
        with pytest.raises(InputError, match="it is a folder"):
            check_writable(path)
