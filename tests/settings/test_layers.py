"""Layers of the configuration: which one wins, and how unknown, misplaced and missing keys are answered."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from settings_cases import copy_of_shipped, edit, refusal, shipped

from trader.errors import UsageError
from trader.settings import (
    SHIPPED_DIR,
    decision_keys,
    limit_keys,
    unstated_limits,
)
from trader.settings.keys import nearest


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A copy of the shipped files to change."""
    return copy_of_shipped(tmp_path)


def test_layers_each_stronger_one_wins(tmp_path: Path, config_dir: Path) -> None:
    """Shipped file < user's file < environment < --set, and what a layer does not say stays."""
    own = tmp_path / "mine.yaml"
    own.write_text("fusion:\n  llm_weight: 0.1\n  query_interval: 6\nexecution: {slippage_ticks: 2}\n")
    environ = {"TRADER_FUSION__LLM_WEIGHT": "0.2", "PATH": "x", "TRADER_MARKET": "MNQ"}
    files = {"config_dir": config_dir, "config_file": own}
    assert shipped(**files).fusion.llm_weight == 0.1
    assert shipped(**files, environ=environ).fusion.llm_weight == 0.2
    settings = shipped(**files, environ=environ, overrides=["fusion.llm_weight=0.9", "fusion.llm_weight=0.4"])
    assert settings.fusion.llm_weight == 0.4
    assert (settings.fusion.query_interval, settings.execution.slippage_ticks) == (6, 2)
    assert (settings.market, settings.fusion.override_high) == ("MNQ", 0.9)


def test_configuration_read_again_knows_nothing_of_the_one_before(config_dir: Path) -> None:
    """Neither of its overrides nor of a file that has been changed since."""
    first = shipped(config_dir=config_dir, overrides=["strategy.options.fast=10", "fusion.llm_weight=0.9"])
    again = shipped(config_dir=config_dir)
    edit(config_dir / "llm_config.yaml", "llm_weight: 0.3", "llm_weight: 0.2")
    changed = shipped(config_dir=config_dir)
    assert [each.strategy.options for each in (first, again, changed)] == [{"fast": 10}, {}, {}]
    assert [each.fusion.llm_weight for each in (first, again, changed)] == [0.9, 0.3, 0.2]


def test_profile_live_replaces_the_limits_of_paper(config_dir: Path) -> None:
    """The live profile's limits come from live.yaml and from nowhere else, those of llm_config.yaml included."""
    edit(config_dir / "live.yaml", "max_consecutive_losses: 3", "max_consecutive_losses: 2")
    edit(config_dir / "live.yaml", "daily_limit_usd: 1000", "daily_limit_usd: 500")
    live, paper = (shipped(config_dir=config_dir, profile=profile) for profile in ("live", "paper"))
    assert (live.risk.max_consecutive_losses, live.account.daily_limit_usd) == (2, Decimal(500))
    assert (paper.risk.max_consecutive_losses, paper.account.daily_limit_usd) == (3, Decimal(1000))


def test_profile_unknown_is_a_usage_error() -> None:
    """A profile that does not exist is answered with those that do."""
    with pytest.raises(UsageError, match="paper, live"):
        shipped(profile="demo")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("fusion.llm_wieght", "fusion.llm_weight"),
        ("llm_weight", "fusion.llm_weight"),
        ("risk.max_consecutive_loses", "risk.max_consecutive_losses"),
        ("fusion.max_consecutive_losses", "risk.max_consecutive_losses"),
        ("execution.windows.rth.begin", "execution.windows.rth.end"),
        ("acount.start_balance_usd", "account.start_balance_usd"),
        ("advisor.trigger.entry", "advisor.triggers.entry"),
        ("llm.temperature", "llm_model.temperature"),
    ],
)
def test_unknown_key_suggests_the_nearest(wrong: str, right: str) -> None:
    """A misspelt or misplaced key is answered with the full right one."""
    assert nearest(wrong) == right


def test_unknown_key_in_any_layer_names_its_place(tmp_path: Path, config_dir: Path) -> None:
    """File and line, variable, or --set: every unknown key of every layer is in one message."""
    line = edit(config_dir / "trader.yaml", "  trail_atr: 1.0", "  trial_atr: 1.0")
    own = tmp_path / "mine.yaml"
    own.write_text("# mine\nfusion:\n  llm_wait: 0.1\n")
    message = refusal(
        config_dir=config_dir,
        config_file=own,
        environ={"TRADER_GATE__COLAR_PCT": "1", "TRADER_gate__COLLAR_PCT": "1"},
        overrides=["jurnal.dir=x"],
    )
    assert message.splitlines() == [
        f"{config_dir}/trader.yaml:{line}: unknown key execution.trial_atr; did you mean execution.trail_atr?",
        f"{own}:3: unknown key fusion.llm_wait; did you mean fusion.llm_weight?",
        "TRADER_GATE__COLAR_PCT: unknown key gate.colar_pct; did you mean gate.collar_pct?",
        "TRADER_gate__COLLAR_PCT: unknown key gate.COLLAR_PCT; did you mean gate.collar_pct?",
        "--set: unknown key jurnal; did you mean journal?",
    ]


def test_key_in_two_shipped_files_names_both(config_dir: Path) -> None:
    """One place a key: the second is an error that names both lines."""
    first = edit(config_dir / "trader.yaml", "fusion:\n  mode: fixed", "fusion:\n  llm_weight: 0.3\n  mode: fixed") + 1
    second = (config_dir / "llm_config.yaml").read_text().split("llm_weight")[0].count("\n") + 1
    assert refusal(config_dir=config_dir) == (
        f"{config_dir}/llm_config.yaml:{second}: fusion.llm_weight stands in {config_dir}/trader.yaml:{first} already; "
        "a key has one place in the shipped files"
    )


@pytest.mark.parametrize("profile", ["paper", "live"])
def test_key_of_another_file_in_a_profile_is_refused(config_dir: Path, profile: str) -> None:
    """A profile holds limits only; what is no limit has its place in trader.yaml."""
    with (config_dir / f"{profile}.yaml").open("a") as file:
        file.write("fusion: {override_low: 0.5}\n")
    assert "fusion.override_low stands in" in refusal(config_dir=config_dir, profile=profile)


def test_limit_repeated_in_paper_is_refused(config_dir: Path) -> None:
    """Only live.yaml may state again what stands in llm_config.yaml."""
    edit(config_dir / "paper.yaml", "risk:\n", "risk:\n  max_consecutive_losses: 3\n")
    assert "risk.max_consecutive_losses stands in" in refusal(config_dir=config_dir)


@pytest.mark.parametrize("key", limit_keys())
def test_limit_missing_in_live_is_refused(config_dir: Path, key: str) -> None:
    """live.yaml states each limit itself, and what it lacks is listed."""
    name = key.rpartition(".")[2]
    path = config_dir / "live.yaml"
    path.write_text(re.sub(rf"^  {name}:.*\n", "", path.read_text(), flags=re.MULTILINE))
    assert unstated_limits(config_dir) == (key,)
    assert refusal(config_dir=config_dir, profile="live") == (
        f"{path}: {key} is a safety limit and must be stated here"
    )


def test_shipped_live_states_every_limit() -> None:
    """The shipped live profile is complete, and trader.yaml holds no limit."""
    assert unstated_limits() == ()
    assert shipped(profile="live").risk == shipped().risk
    trader_yaml = yaml.safe_load((SHIPPED_DIR / "trader.yaml").read_text())
    assert not [key for key in limit_keys() if key.split(".")[1] in trader_yaml.get(key.split(".")[0], {})]


def test_key_set_nowhere_is_named(config_dir: Path) -> None:
    """The message says which key is missing and where it belongs."""
    edit(config_dir / "paper.yaml", "  qty: 1 #", "  # qty: 1 #")
    assert refusal(config_dir=config_dir) == (
        "execution.qty is set nowhere; it belongs in one of trader.yaml, llm_config.yaml, paper.yaml"
    )


def test_override_without_equals_is_a_usage_error() -> None:
    """`--set` wants KEY=VALUE and says so."""
    with pytest.raises(UsageError, match=r"expected KEY=VALUE, such as --set fusion\.llm_weight=0\.4"):
        shipped(overrides=["fusion.llm_weight"])


def test_all_mistakes_are_in_one_message() -> None:
    """Nobody repairs a file one error a run."""
    message = refusal(overrides=["fusion.llm_weight=2", "gate.price_age_s=0", "market=CL"])
    assert len(message.splitlines()) == 3


def test_live_profile_refuses_switched_off_reviews() -> None:
    """With real money no rule is switched off, whole or in part, and no account is renewed."""
    overrides = [
        "risk.enable_risk_veto=false",
        "account.on_exhausted=renew",
        "risk.veto_actions={cooldown: [BUY], max_trades: [BUY, SELL]}",
    ]
    assert shipped(overrides=overrides).risk.enable_risk_veto is False
    assert [line.split(": ")[1] for line in refusal(profile="live", overrides=overrides).splitlines()] == [
        "risk.enable_risk_veto",
        "account.on_exhausted",
        "risk.veto_actions.cooldown",
    ]


def test_shipped_keys_all_carry_a_comment() -> None:
    """Each key of trader.yaml states its unit and why, or belongs to a pair that does."""
    lines = (SHIPPED_DIR / "trader.yaml").read_text().splitlines()
    bare = [line.strip() for line in lines if re.match(r" *\w+: \S", line) and " # " not in line]
    assert bare == ['end: "16:30"']
    assert "risk.veto_actions" in decision_keys()
