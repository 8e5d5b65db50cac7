"""A backtest on dates that a language model has read about says so."""

from datetime import date

import pytest
from msgspec.structs import replace

from trader.analysis.contamination import ModelFacts, contamination

PHI3 = ModelFacts(backend="phi3", knowledge_until=date(2023, 10, 1), anonymised=False)


@pytest.mark.parametrize(
    ("first_session", "label"),
    [("2019-06-13", "contaminated"), ("2023-10-01", "contaminated"), ("2023-10-02", None), (None, None)],
)
def test_contamination_begins_where_the_first_session_is_not_after_the_models_data(first_session, label):
    """The last day of the data belongs to them; a run without sessions has seen nothing."""
    assert contamination(first_session, PHI3, is_synthetic=False) == label


@pytest.mark.parametrize(
    ("backend", "label"),
    [
        ("phi3", "contaminated"),
        ("openai", "contaminated"),
        ("ensemble", "contaminated"),
        ("rules", None),
        ("off", None),
    ],
)
def test_contamination_is_a_language_models_alone(backend, label):
    """Rules have read nothing."""
    assert contamination("2020-01-02", replace(PHI3, backend=backend), is_synthetic=False) == label


def test_contamination_of_a_model_whose_data_end_nobody_knows_covers_every_date():
    """Not knowing is no proof of innocence."""
    facts = replace(PHI3, knowledge_until=None)
    assert contamination("2026-01-02", facts, is_synthetic=False) == "contaminated"


def test_contamination_needs_dates_and_prices_that_can_be_remembered():
    """Prompts without dates and price levels, and bars that were never traded, show the model nothing that it knows."""
    assert contamination("2020-01-02", replace(PHI3, anonymised=True), is_synthetic=False) is None
    assert contamination("2020-01-02", PHI3, is_synthetic=True) is None
