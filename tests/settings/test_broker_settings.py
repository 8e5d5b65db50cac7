"""The keys of Interactive Brokers: what contradicts is refused, and real money needs a file and the live profile."""

from datetime import time
from pathlib import Path

import pytest
from settings_cases import refusal, shipped


def test_shipped_figures_are_those_of_the_specification() -> None:
    """3 s without a word, 30 s in doubt, polls every 30 and 5 s, a probe every 5 s with two misses, 0.8 s of grace."""
    ib = shipped().ib
    assert (ib.ack_timeout_s, ib.unresolved_s, ib.naked_grace_s) == (3, 30, 1)
    assert (ib.position_poll_s, ib.orders_poll_s, ib.probe_every_s, ib.probe_misses) == (30, 5, 5, 2)
    assert (ib.grace_s, ib.stale_after_s, ib.loop_pause_s, ib.down_alert_s) == (0.8, 5, 2, 600)
    assert (ib.host, ib.port, ib.account, ib.library, ib.foreign) == ("127.0.0.1", 4002, None, "auto", "refuse")
    nights = ib.outages
    assert (nights.restart_at, nights.reset_start, nights.reset_end) == (time(23, 45), time(0, 15), time(1, 45))
    assert (nights.weekend_start, nights.weekend_end) == (time(23), time(3))
    assert (nights.no_entries_before_min, nights.alert_after_min) == (15, 5)
    assert shipped().live is shipped(profile="live").live is False


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ib.port=0", "--set: ib.port = 0: must be greater than or equal to 1"),
        ("ib.port=65536", "--set: ib.port = 65536: must be less than or equal to 65535"),
        ("ib.port='4002'", "--set: ib.port = '4002': must be a valid integer"),
        ("ib.client_id=18", "--set: ib: client_id and fallback_client_id are both 18"),
        ("ib.client_id=0", "--set: ib.client_id = 0: must be greater than or equal to 1"),
        ("ib.library=ibapi", "--set: ib.library = 'ibapi': must be 'auto', 'ib_insync' or 'ib_async'"),
        ("ib.foreign=allow", "--set: ib.foreign = 'allow': must be 'adopt', 'ignore' or 'refuse'"),
        ("ib.unresolved_s=3", "--set: ib: unresolved_s 3 is not above ack_timeout_s 3"),
        ("ib.backoff_max_s=0.5", "--set: ib: backoff_max_s 0.5 is below backoff_first_s 1"),
        ("ib.outages.reset_end=00:15", "--set: ib.outages: reset_start 00:15 is not before reset_end 00:15"),
        ("ib.outages.restart_zone=Mars/Base", "--set: ib.outages.restart_zone = 'Mars/Base': must be a time zone"),
        ("ib.outages.restart_zone=../etc", "--set: ib.outages.restart_zone = '../etc': must be a time zone"),
        ("ib.account=DU 1234567", "--set: ib.account = DU******67: must be an account as the application shows it"),
        ("ib.account=1234567", "--set: ib.account = 12***67: must be a valid string"),
    ],
)
def test_bad_broker_key_is_refused_with_what_is_allowed(override: str, expected: str) -> None:
    """The key, its value and the range; an account number only in part."""
    assert refusal(overrides=[override]).startswith(expected)


@pytest.mark.parametrize("account", ["DU1234567", "U1234567", "DF12345", "F123456", "DUM123456", "I1234567"])
def test_account_of_each_kind_is_taken(account: str) -> None:
    """Individual, advisor and paper accounts."""
    assert shipped(overrides=[f"ib.account={account}"]).ib.account == account


def test_real_money_needs_a_file_and_the_live_profile(tmp_path: Path) -> None:
    """What is typed once, or inherited from an environment, is not meant enough."""
    own = tmp_path / "mine.yaml"
    own.write_text("live: true\n")
    assert shipped(profile="live", config_file=own).live
    assert refusal(config_file=own).startswith(f"{own}:1: live: true needs --profile live")
    assert refusal(profile="live", overrides=["live=true"]).startswith("--set: live: true counts in a file only")
    assert refusal(profile="live", environ={"TRADER_LIVE": "true"}).startswith("TRADER_LIVE: live: true counts in a")
    assert not shipped(profile="live", config_file=own, overrides=["live=false"]).live
