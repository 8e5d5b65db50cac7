"""PNG pictures for a README."""

import pytest
from evaluation_rows import a_trade
from evaluations import an_evaluation
from msgspec.structs import replace

pytest.importorskip("matplotlib", reason="needs the extra `report`")

from trader.page.pictures import pictures

PNG = b"\x89PNG\r\n\x1a\n"


def test_pictures_of_made_up_bars_are_two_and_the_same_each_time():
    """PNGs, byte for byte alike."""
    evaluation = an_evaluation(25)

    drawn = pictures(evaluation)

    assert sorted(drawn) == ["equity.png", "r-multiples.png"]
    assert all(picture.startswith(PNG) for picture in drawn.values())
    assert pictures(evaluation) == drawn


def test_of_real_bars_only_equity_is_drawn():
    """Nothing that tells of prices."""
    evaluation = an_evaluation(2, (a_trade(),))

    real = replace(evaluation, facts=replace(evaluation.facts, is_synthetic=False))

    assert list(pictures(real)) == ["equity.png"]
