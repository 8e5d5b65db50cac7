"""The floors of a card, against figures worked out by hand."""

import pytest

from trader.commands.advisor_roofline import CARDS, floor, floors


@pytest.mark.parametrize(
    ("card", "quantization", "token_ms", "score_ms"),
    [
        ("RTX 3060", "int8", 10.6, 47),  # 3.82 GB at 360 GB/s; 1.19 TFLOP at 25.5 TFLOP/s
        ("RTX 4090", "int8", 3.8, 7.2),
        ("H200", "none", 1.55, 1.55),  # 7.45 GB at 4.8 TB/s: reading the weights takes longer than multiplying them
        ("H200", "int8", 0.8, 1.2),
    ],
)
def test_floor_is_bytes_over_bandwidth_or_operations_over_peak(
    card: str, quantization: str, token_ms: float, score_ms: float
) -> None:
    """Whichever is longer, for the 162 tokens that a query reads."""
    [chosen] = [each for each in CARDS if each.name == card]
    found = floor(chosen, quantization, prefix_tokens=150, suffix_tokens=162)
    assert found.token_ms == pytest.approx(token_ms, rel=0.02)
    assert found.score_ms == pytest.approx(score_ms, rel=0.03)


def test_reply_costs_a_pass_and_a_token_for_each_but_the_first() -> None:
    """The scored pass gives the first token."""
    for row in floors(150):
        assert row.reply_ms == pytest.approx(row.score_ms + 19 * row.token_ms, abs=0.2)
    assert len(floors(150)) == 9
