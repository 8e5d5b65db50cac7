"""Values of the configuration: what the shipped files say, what each key takes and refuses."""

import json
from datetime import date, time

import pytest
import yaml
from settings_cases import refusal, shipped

from trader.domain.actions import Action
from trader.domain.decisions import Rule
from trader.settings import (
    SHIPPED_DIR,
    Settings,
)
from trader.settings.keys import marks_by_key

# The documented keys with a value that differs from the shipped one, written by hand.
DOCUMENTED = {
    "llm_model.name": "models/my-phi",
    "llm_model.quantization": "int4",
    "llm_model.device": "cuda:1",
    "llm_model.max_new_tokens": 60,
    "llm_model.temperature": 0.0,
    "llm_model.top_p": 0.5,
    "llm_model.revision": "0a67737cc96d2554230f90338b163bc6380a2a85",
    "llm_model.graphs": "auto",
    "llm_model.cot_max_tokens": 100,
    "llm_model.sample": True,
    "llm_model.seed": 7,
    "llm_model.knowledge_until": date(2024, 4, 1),
    "prompt.system": "Be brief.",
    "prompt.template": "context_template_cached",
    "prompt.context_template": "RSI {rsi:.0f}",
    "prompt.context_template_cached": "ADX {adx:.0f}",
    "prompt.examples": ({"question": "RSI 20", "reply": "BUY | 0.60 | oversold"},),
    "prompt.chain_of_thought": True,
    "prompt.anonymise": True,
    "prompt.calendar_file": "events.csv",
    "prompt.calendar_minutes": 30,
    "prompt.correlated_file": "es.csv",
    "prompt.correlated_market": "ES",
    "prompt.headlines_file": "news.csv",
    "prompt.headlines_minutes": 15,
    "prompt.headlines_max": 2,
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
        "revision": None,
        "graphs": "off",
        "cot_max_tokens": 200,
        "sample": False,
        "seed": 1,
        "knowledge_until": date(2023, 10, 1),
    }
    assert settings.fusion.model_dump() == {
        "llm_weight": 0.3,
        "confidence_threshold": 0.7,
        "use_selective_querying": True,
        "query_interval": 5,
        "mode": "fixed",
        "adaptive": {"learning_rate": 0.05, "share": 0.001, "llm_weight_max": 0.5},
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
    written = json.dumps(value, default=str)  # JSON is YAML, and keeps a day the text that a file has
    read = value_at(shipped(overrides=[f"{key}={written}"]), key)
    assert (tuple(part.model_dump() for part in read) if isinstance(read, tuple) else read) == value


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


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["execution.qty=2"], "--set: execution: qty 2 is above max_position_qty 1"),
        (
            ["account.trailing_limit_usd=50000"],
            "--set: account: trailing_limit_usd 50000 is not below start_balance_usd 50000",
        ),
        (["fusion.override_low=0.95"], "--set: fusion: override_low 0.95 is above override_high 0.9"),
        (["advisor.backend=recorded"], "--set: advisor: backend: recorded needs recorded_from"),
        (
            ["advisor.ensemble.members=[rules, phi3, rules]"],
            "--set: advisor.ensemble: members: rules, phi3, rules",
        ),
        (["execution.windows.rth.start=15:30"], "--set: execution.windows.rth: start, end and flat_at must follow"),
        (["execution.windows.all.flat_at=18:30"], "--set: execution.windows.all: start, end and flat_at must follow"),
        (["execution.windows.rth.end=24:00"], "--set: execution.windows.rth.end = '24:00': must be a time of day"),
        (["account.start_balance_usd=1.005"], "--set: account.start_balance_usd = 1.005: must be an amount in USD"),
        (["account.daily_limit_usd=0"], "--set: account.daily_limit_usd = 0: must be greater than 0"),
        (["account.daily_limit_usd=.inf"], "--set: account.daily_limit_usd = inf: must be an amount in USD"),
        (["market=CL"], "--set: market = 'CL': must be one of ES, NQ"),
        (["fusion=0.3"], "--set: fusion is a section of keys and takes no value of its own"),
        (["fusion.mode=learned"], "--set: fusion.mode = 'learned': must be 'fixed' or 'adaptive'"),
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


def test_settings_are_frozen() -> None:
    """Nobody changes the configuration of a running process."""
    settings = shipped()
    with pytest.raises(ValueError, match="frozen"):
        settings.market = "ES"
    with pytest.raises(ValueError, match="frozen"):
        settings.fusion.llm_weight = 0.9
