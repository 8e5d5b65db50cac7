"""Hashes of the configuration, and that it survives being written out."""

import re
from pathlib import Path

import pytest
import yaml
from settings_cases import shipped

from trader.settings import decision_hash, decision_keys, full_hash
from trader.settings.keys import marks_by_key


def test_settings_written_out_and_read_back_are_equal(tmp_path: Path) -> None:
    """What a program dumps is a user's file that gives the same settings and hashes."""
    settings = shipped(
        overrides=[
            "account.daily_limit_usd=999.95",
            "execution.commission_side_usd=2.07",
            "risk.veto_actions={cooldown: [BUY, SELL]}",
            "strategy.options={fast: 10, slow: 30.5, label: x, on: true}",
        ]
    )
    own = tmp_path / "dump.yaml"
    own.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    again = shipped(config_file=own)
    assert again == settings
    assert (decision_hash(again), full_hash(again)) == (decision_hash(settings), full_hash(settings))


@pytest.mark.parametrize(
    ("override", "is_decision"),
    [
        ("fusion.llm_weight=0.31", True),
        ("account.start_balance_usd=50000.01", True),
        ("risk.veto_actions=documented", True),
        ("execution.windows.rth.end=15:31", True),
        ("strategy.options.fast=10", True),
        ("advisor.assumed_latency_ms=60000", True),
        ("journal.dir=elsewhere", False),
        ("state.dir=elsewhere", False),
        ("advisor.deadline_ms=251", True),
        ("advisor.backend=off", False),
        ("llm_model.temperature=0.1", False),
        ("policy.bundle=models/mine", False),
    ],
)
def test_decision_hash_changes_with_decisions_only(override: str, is_decision: bool) -> None:
    """Where a log is stored or what `ids.advisor` names leaves the hash; what decides changes it."""
    before, after = shipped(), shipped(overrides=[override])
    assert (decision_hash(after) != decision_hash(before)) is is_decision
    assert full_hash(after) != full_hash(before)


@pytest.mark.parametrize("section", ["ib.", "guard.", "live"])
def test_decision_hash_leaves_out_the_broker(section: str) -> None:
    """The same bars decide the same wherever they come from: a backtest's hash is the live run's."""
    theirs = [key for key in marks_by_key() if key.startswith(section)]
    assert theirs
    assert not set(theirs) & set(decision_keys())


def test_decision_hash_of_equal_amounts_is_equal() -> None:
    """50000 and 50000.00 are the same money, 3 and 3.0 the same multiple."""
    spelled = shipped(overrides=["account.start_balance_usd=50000.00", "execution.target_multiple=3.0"])
    assert decision_hash(spelled) == decision_hash(shipped())
    assert re.fullmatch("[0-9a-f]{64}", decision_hash(spelled))
