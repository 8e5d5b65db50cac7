"""What a report says about its run: labels, and facts out of the log's first record."""

import pytest
from log_builders import START
from msgspec.structs import replace
from report_builders import FACTS

from trader.analysis.figures import Label, Model, Origin, RunFacts, TrainedOn, facts_of, labels_of
from trader.errors import ConfigurationError, LogDamagedError

REAL = TrainedOn(sha256="bb", first_session="2020-01-02", last_session="2020-12-31")


def a_model(label: str, training: TrainedOn = REAL) -> Model:
    """A model of this origin."""
    return Model(name="m", market="NQ", provenance=Origin(label=label, training=training))


@pytest.mark.parametrize(
    ("facts", "sessions", "labels"),
    [
        pytest.param(FACTS, ("2023-01-02", "2023-02-01"), (), id="real bars, no model"),
        pytest.param(replace(FACTS, is_synthetic=True), (None, None), (Label.SYNTHETIC_BARS,), id="synthetic bars"),
        pytest.param(
            replace(FACTS, model=a_model("random")), ("2020-01-02", "2020-02-01"), (Label.UNTRAINED,), id="untrained"
        ),
        pytest.param(
            replace(FACTS, model=a_model("in_sample")),
            ("2020-12-31", "2021-02-01"),
            (Label.IN_SAMPLE,),
            id="real bars of the training's last session",
        ),
        pytest.param(
            replace(FACTS, model=a_model("in_sample")), ("2021-01-04", "2021-02-01"), (), id="real bars after training"
        ),
        pytest.param(
            replace(FACTS, market="MNQ", model=a_model("in_sample")),
            ("2020-02-01", "2020-03-01"),
            (Label.IN_SAMPLE,),
            id="the micro contract on dates of the training",
        ),
        pytest.param(
            replace(FACTS, market="ES", model=a_model("in_sample")),
            ("2020-02-01", "2020-03-01"),
            (),
            id="another index on dates of the training",
        ),
        pytest.param(
            replace(FACTS, bars_sha256="bb", model=a_model("in_sample")),
            (None, None),
            (Label.IN_SAMPLE,),
            id="the training's own bars, not one of them traded yet",
        ),
        pytest.param(
            replace(FACTS, model=a_model("synthetic")),
            ("2020-02-01", "2020-03-01"),
            (Label.SYNTHETIC_TRAINING,),
            id="synthetic training on the same dates as real bars",
        ),
        pytest.param(
            replace(FACTS, is_synthetic=True, bars_sha256="bb", model=a_model("synthetic")),
            ("2020-02-01", "2020-03-01"),
            (Label.SYNTHETIC_BARS, Label.SYNTHETIC_TRAINING, Label.IN_SAMPLE),
            id="the training's own synthetic bars",
        ),
        pytest.param(
            replace(FACTS, mismatches=("bars of 5 minutes, trained on 1",)), (None, None), (Label.MISMATCH,),
            id="mismatch",
        ),
    ],
)  # fmt: skip
def test_labels_say_what_a_reader_must_know(
    facts: RunFacts, sessions: tuple[str | None, str | None], labels: tuple[Label, ...]
):
    """Each case by hand; the order is that of the report."""
    assert labels_of(facts, *sessions) == labels


def test_facts_of_a_start_record_are_what_it_says():
    """Forced slippage is the factor times the slippage."""
    config: dict[str, object] = {"execution": {"slippage_ticks": 2, "forced_close_slippage_factor": 3, "qty": 1}}
    facts = facts_of(replace(START, config=config, mismatches=("m",)))
    training = TrainedOn(sha256="bb", first_session="2020-01-02", last_session="2020-12-31")
    assert facts == RunFacts(
        market="NQ",
        strategy="ppo",
        source="sample.csv.gz",
        bars_sha256="aa",
        is_synthetic=True,
        mismatches=("m",),
        model=Model(name="embedded", market="NQ", provenance=Origin(label="synthetic", training=training)),
        slippage_ticks=2,
        forced_slippage_ticks=6,
        advisor=None,
    )


@pytest.mark.parametrize(
    "start",
    [
        replace(START, bars={"source": "x", "sha256": "aa"}),
        replace(START, bars={"source": "x", "sha256": "aa", "synthetic": "no"}),
        replace(START, config={}),
        replace(START, bundle={"name": "m"}),
    ],
)
def test_facts_of_a_start_record_that_leaves_something_out_are_refused(start: object):
    """A report that cannot say whether its bars are synthetic is not made."""
    assert isinstance(start, type(START))
    with pytest.raises(LogDamagedError, match="does not say what a report needs"):
        facts_of(start)


def test_facts_of_an_unknown_market_are_refused():
    """A log of a market that this version does not know."""
    with pytest.raises(ConfigurationError, match="'XX' is not known"):
        facts_of(replace(START, market="XX"))
