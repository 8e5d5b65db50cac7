"""The configuration: what the shipped files say, which layer wins, and how each mistake is answered."""

import re
import shutil
from contextlib import suppress
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trader.domain.actions import Action
from trader.domain.decisions import Rule
from trader.domain.instruments import INSTRUMENTS
from trader.errors import ConfigurationError, TraderError, UsageError
from trader.settings import (
    SHIPPED_DIR,
    Settings,
    decision_hash,
    decision_keys,
    full_hash,
    limit_keys,
    load_settings,
    unstated_limits,
)
from trader.settings.keys import marks_by_key, nearest

# The documented keys with a value that differs from the shipped one, written by hand.
DOCUMENTED = {
    "llm_model.name": "models/my-phi",
    "llm_model.quantization": "int4",
    "llm_model.device": "cuda:1",
    "llm_model.max_new_tokens": 60,
    "llm_model.temperature": 0.0,
    "llm_model.top_p": 0.5,
    "fusion.llm_weight": 0.45,
    "fusion.confidence_threshold": 0.55,
    "fusion.use_selective_querying": False,
    "fusion.query_interval": 9,
    "risk.max_consecutive_losses": 4,
    "risk.min_win_rate_threshold": 0.35,
    "risk.dd_buffer_threshold": 0.25,
    "risk.enable_risk_veto": False,
}


def value_at(settings: Settings, key: str) -> object:
    """The attribute that a dotted key names."""
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def shipped(**layers: Any) -> Settings:
    """Settings of the shipped files without the process's environment, unless `layers` says otherwise."""
    return load_settings(**{"environ": {}, **layers})


def refusal(**layers: Any) -> str:
    """The message with which these layers are refused."""
    with pytest.raises(ConfigurationError) as caught:
        shipped(**layers)
    return str(caught.value)


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A copy of the shipped files to change."""
    folder = tmp_path / "config"
    shutil.copytree(SHIPPED_DIR, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edit(path: Path, old: str, new: str) -> int:
    """Replace `old`, which must stand there once, and give the line on which it stood."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def test_shipped_files_hold_the_documented_values() -> None:
    """The limits and the advisor keys are those of the rules' text."""
    settings = shipped()
    assert settings.llm_model.model_dump() == {
        "name": "microsoft/Phi-3-mini-4k-instruct",
        "quantization": "int8",
        "device": "auto",
        "max_new_tokens": 50,
        "temperature": 0.7,
        "top_p": 0.9,
    }
    assert settings.fusion.model_dump() == {
        "llm_weight": 0.3,
        "confidence_threshold": 0.7,
        "use_selective_querying": True,
        "query_interval": 5,
        "mode": "fixed",
        "override_high": 0.9,
        "override_low": 0.6,
        "uncertain_below": 0.5,
        "calibrate_rl": False,
    }
    assert settings.risk.model_dump() == {
        "max_consecutive_losses": 3,
        "min_win_rate_threshold": 0.4,
        "dd_buffer_threshold": 0.2,
        "enable_risk_veto": True,
        "win_rate_window": 10,
        "max_trades_per_session": 20,
        "cooldown_after_stop_minutes": 0,
        "veto_reset_minutes": 240,
        "max_cost_share": 0.15,
        "veto_actions": "shipped",
    }
    assert settings.gate.model_dump() == {
        "collar_pct": 0.5,
        "orders_per_minute": 20,
        "price_age_s": 10.0,
        "initial_margin_pct": 50.0,
    }


def test_money_in_usd_is_read_as_whole_cents() -> None:
    """Dollars with two decimals become exact cents, also where binary floats are not."""
    settings = shipped(overrides=["account.daily_limit_usd=1000.29", "execution.commission_side_usd=0.62"])
    account = settings.account
    cents = (account.start_balance_cents, account.trailing_limit_cents, account.daily_limit_cents)
    assert cents == (5_000_000, 250_000, 100_029)
    assert settings.execution.commission_side_cents == 62
    assert shipped().execution.commission_side_cents is None


def test_entry_window_chosen_gives_its_times() -> None:
    """`entry_window` picks one of the two windows, in New York's time."""
    rth, whole = shipped().execution.window, shipped(overrides=["execution.entry_window=all"]).execution.window
    assert (rth.start, rth.end, rth.flat_at) == (time(9, 35), time(15, 30), time(15, 55))
    assert (whole.start, whole.end, whole.flat_at) == (time(18, 5), time(16, 30), time(16, 50))


@pytest.mark.parametrize("key", DOCUMENTED)
def test_documented_key_set_takes_effect(key: str) -> None:
    """Each documented key is parsed from a user's own value."""
    value = DOCUMENTED[key]
    assert value_at(shipped(), key) != value
    assert value_at(shipped(overrides=[f"{key}={yaml.safe_dump(value)}"]), key) == value


@pytest.mark.parametrize(
    ("key", "text", "demand"),
    [
        ("llm_model.name", "''", "'': must have at least 1 character"),
        ("llm_model.quantization", "int16", "'int16': must be 'int8', 'int4' or 'none'"),
        ("llm_model.device", "gpu", "'gpu': must be auto, cpu, mps, cuda or cuda:N"),
        ("llm_model.max_new_tokens", "0", "0: must be greater than or equal to 1"),
        ("llm_model.temperature", "2.1", "2.1: must be less than or equal to 2"),
        ("llm_model.top_p", "0", "0: must be greater than 0"),
        ("fusion.llm_weight", "1.01", "1.01: must be less than or equal to 1"),
        ("fusion.confidence_threshold", "-0.1", "-0.1: must be greater than or equal to 0"),
        ("fusion.use_selective_querying", "off", "'off': must be a valid boolean"),
        ("fusion.query_interval", "2.5", "2.5: must be a valid integer"),
        ("risk.max_consecutive_losses", "true", "True: must be a valid integer"),
        ("risk.min_win_rate_threshold", ".nan", "nan: must be a finite number"),
        ("risk.dd_buffer_threshold", "'0.2'", "'0.2': must be a valid number"),
        ("risk.enable_risk_veto", "1", "1: must be a valid boolean"),
    ],
)
def test_documented_key_out_of_type_or_range_is_refused(key: str, text: str, demand: str) -> None:
    """A wrong value is answered with its source, the key, the value and what is allowed."""
    assert refusal(overrides=[f"{key}={text}"]) == f"--set: {key} = {demand}"


def test_documented_keys_tested_are_all_of_the_file() -> None:
    """No documented key is left out of the tables above."""
    leaves = {
        f"{section}.{name}"
        for section, keys in yaml.safe_load((SHIPPED_DIR / "llm_config.yaml").read_text()).items()
        for name in keys
    }
    assert leaves == set(DOCUMENTED)


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


@pytest.mark.parametrize("key", [key for key in marks_by_key() if key != "strategy.options"])
def test_key_left_out_of_the_files_has_no_default(key: str) -> None:
    """No value comes out of the code: a key that no file sets is an error that names it."""
    tree = shipped().model_dump(mode="json")
    *sections, name = key.split(".")
    node = tree
    for section in sections:
        node = node[section]
    del node[name]
    with pytest.raises(ValueError, match="Field required"):
        Settings(**tree)


def test_key_set_nowhere_is_named(config_dir: Path) -> None:
    """The message says which key is missing and where it belongs."""
    edit(config_dir / "paper.yaml", "  qty: 1 #", "  # qty: 1 #")
    assert refusal(config_dir=config_dir) == (
        "execution.qty is set nowhere; it belongs in one of trader.yaml, llm_config.yaml, paper.yaml"
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["execution.qty=2"], "--set: execution: qty 2 is above max_position_qty 1"),
        (["fusion.override_low=0.95"], "--set: fusion: override_low 0.95 is above override_high 0.9"),
        (["advisor.backend=recorded"], "--set: advisor: backend: recorded needs recorded_from"),
        (["execution.windows.rth.start=15:30"], "--set: execution.windows.rth: start, end and flat_at must follow"),
        (["execution.windows.all.flat_at=18:30"], "--set: execution.windows.all: start, end and flat_at must follow"),
        (["execution.windows.rth.end=24:00"], "--set: execution.windows.rth.end = '24:00': must be a time of day"),
        (["account.start_balance_usd=1.005"], "--set: account.start_balance_usd = 1.005: must be an amount in USD"),
        (["account.daily_limit_usd=0"], "--set: account.daily_limit_usd = 0: must be greater than 0"),
        (["account.daily_limit_usd=.inf"], "--set: account.daily_limit_usd = inf: must be an amount in USD"),
        (["market=CL"], "--set: market = 'CL': must be one of ES, NQ"),
        (["fusion=0.3"], "--set: fusion is a section of keys and takes no value of its own"),
        (["fusion.mode=adaptive"], "--set: fusion.mode = 'adaptive': must be 'fixed'"),
        (["strategy.options.fast=[1]"], "--set: strategy.options (fast) = [1]: must be a single value"),
        (["risk.veto_actions=none"], "--set: risk.veto_actions = 'none': must be shipped, documented, or actions"),
        (["risk.veto_actions={cooldown: [HOLD]}"], "--set: risk.veto_actions: cooldown: a rule blocks a list out of"),
        (["risk.veto_actions={invalid_now: [BUY]}"], "--set: risk.veto_actions: 'invalid_now' is no rule that blocks"),
        (["gate.collar_pct: 1=2"], "--set: unknown key gate.collar_pct: 1; did you mean gate.collar_pct?"),
        (["journal.dir=[a"], "--set journal.dir: not valid YAML: "),
    ],
)
def test_value_that_contradicts_is_refused(overrides: list[str], expected: str) -> None:
    """Contradictions and impossible values are answered with place, key and what is allowed."""
    assert refusal(overrides=overrides).startswith(expected)


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


def test_veto_actions_given_become_rules_and_actions() -> None:
    """The user's names are read into the closed sets of the domain."""
    settings = shipped(overrides=["risk.veto_actions={cooldown: [SELL], daily_loss: [BUY, SELL, ENABLE_TRAIL]}"])
    assert settings.risk.veto_actions == {
        Rule.COOLDOWN: (Action.SELL,),
        Rule.DAILY_LOSS: (Action.BUY, Action.SELL, Action.ENABLE_TRAIL),
    }


def test_yaml_words_keep_their_meaning() -> None:
    """`off` and 18:10 are what a trader means by them, not YAML 1.1's boolean and base-60 integer."""
    settings = shipped(
        overrides=["advisor.backend=off", "execution.windows.all.start=18:10", "strategy.options.day=2023-12-01"]
    )
    assert settings.advisor.backend == "off"
    assert settings.execution.windows.all.start == time(18, 10)
    assert settings.strategy.options == {"day": "2023-12-01"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fusion: {llm_weight: 0.1}\nfusion: {llm_weight: 0.2}\n", ":2: fusion stands here and in line 1: keep one"),
        ("fusion: &a {llm_weight: 0.1}\nrisk: *a\n", ":1: an alias (*) is not supported"),
        ("fusion:\n\tllm_weight: 0.1\n", ":2: not valid YAML: "),
        ("journal: {dir: !!python/name:os.system ''}\n", ":1: the tag "),
        ("- fusion\n", ": must be a mapping of keys such as `fusion:`, not a list"),
        ("fusion.llm_weight: 0.1\n", ":1: write fusion.llm_weight as nested keys"),
        ('journal: {dir: "\\UFFFFFFFF"}\n', ": not valid YAML: "),
        ("[" * 50_000, ": nested too deeply"),
        ("#" * 300_000, ": 262,145 characters are no configuration"),
    ],
)
def test_file_that_is_no_configuration_names_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    """What YAML allows but a configuration does not is refused at its line."""
    own = tmp_path / "mine.yaml"
    own.write_text(text)
    assert refusal(config_file=own).startswith(f"{own}{expected}")


def test_file_that_cannot_be_read_names_it(tmp_path: Path) -> None:
    """A missing file, a folder and a binary file are configuration errors."""
    assert refusal(config_file=tmp_path / "no.yaml") == f"{tmp_path}/no.yaml: cannot be read: No such file or directory"
    assert refusal(config_file=tmp_path).startswith(f"{tmp_path}: cannot be read: ")
    (tmp_path / "latin.yaml").write_bytes(b"market: \xfc")
    assert refusal(config_file=tmp_path / "latin.yaml") == f"{tmp_path}/latin.yaml: not UTF-8 text (byte 8)"


def test_file_with_sections_commented_out_changes_nothing(tmp_path: Path) -> None:
    """A user's file may keep a heading whose keys are all comments."""
    own = tmp_path / "mine.yaml"
    own.write_text("fusion:\n  # llm_weight: 0.1\nexecution:\n  windows:\n")
    assert shipped(config_file=own) == shipped()


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


def test_settings_are_frozen() -> None:
    """Nobody changes the configuration of a running process."""
    settings = shipped()
    with pytest.raises(ValueError, match="frozen"):
        settings.market = "ES"
    with pytest.raises(ValueError, match="frozen"):
        settings.fusion.llm_weight = 0.9


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
        ("advisor.deadline_ms=251", False),
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


def test_decision_hash_of_equal_amounts_is_equal() -> None:
    """50000 and 50000.00 are the same money, 3 and 3.0 the same multiple."""
    spelled = shipped(overrides=["account.start_balance_usd=50000.00", "execution.target_multiple=3.0"])
    assert decision_hash(spelled) == decision_hash(shipped())
    assert re.fullmatch("[0-9a-f]{64}", decision_hash(spelled))


def test_shipped_keys_all_carry_a_comment() -> None:
    """Each key of trader.yaml states its unit and why, or belongs to a pair that does."""
    lines = (SHIPPED_DIR / "trader.yaml").read_text().splitlines()
    bare = [line.strip() for line in lines if re.match(r" *\w+: \S", line) and " # " not in line]
    assert bare == ['end: "16:30"']
    assert "risk.veto_actions" in decision_keys()


YAML_CHARS = st.sampled_from(list("abz019 .:-#{}[],&*!|>'\"%@`\n\t~\\_?=éß\u2028\x00\ufeff"))


@given(data=st.data())
def test_mutated_file_gives_settings_or_a_configuration_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However a file is damaged, the answer is valid settings or this project's own error, never another exception."""
    text = list((SHIPPED_DIR / data.draw(st.sampled_from(["llm_config.yaml", "paper.yaml"]))).read_text()[:900])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text[at : at + cut] = data.draw(st.lists(YAML_CHARS, max_size=6))
    own = tmp_path_factory.mktemp("mutated") / "own.yaml"
    own.write_text("".join(text))
    with suppress(ConfigurationError):
        assert 0 <= shipped(config_file=own).fusion.llm_weight <= 1


@given(key=st.text(max_size=30), value=st.text(max_size=20))
def test_arbitrary_override_and_variable_give_settings_or_a_trader_error(key: str, value: str) -> None:
    """The command line and the environment are as safe as the files."""
    layers = (
        {"overrides": [f"{key}={value}"]},
        {"environ": {f"TRADER_{key}": value}},
        {"overrides": [f"market={value}"]},
    )
    for layer in layers:
        with suppress(TraderError):
            assert shipped(**layer).market in INSTRUMENTS
