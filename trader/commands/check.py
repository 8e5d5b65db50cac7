"""`trader check`: everything that would stop a start, found before one."""

import json
import sys

from trader.adapters.strategy_loader import load_strategy
from trader.app import open_bundle
from trader.commands.common import settings_from
from trader.commands.warm import warm_kernels
from trader.domain.masking import masked
from trader.domain.sessions import Calendar
from trader.errors import ConfigurationError
from trader.observation import schema_hash
from trader.options import FileOptions
from trader.settings import Settings, arm_token, decision_hash, unstated_limits


def run(files: FileOptions, *, warms: bool, as_json: bool, arms: bool = False) -> None:
    """Print what is in force, or with `arms` the token that arms it; an error where a start would fail."""
    missing = unstated_limits(files.config_dir)
    if missing:
        msg = "live.yaml does not state these safety limits: " + ", ".join(missing)
        raise ConfigurationError(msg)
    settings = settings_from(files)
    calendar = Calendar.load()
    found: dict[str, str | float | None] = {
        "profile": files.profile,
        "market": settings.market,
        "strategy": settings.strategy.name,
        "advisor": settings.advisor.backend,
        "config": decision_hash(settings),
        "schema": schema_hash(),
        "calendar": calendar.sha256,
        "bundle": None,
        "bundle_note": None,
    }
    if settings.strategy.name == "ppo":
        bundle = open_bundle(settings, calendar, None)
        found["bundle"] = bundle.id
        found["bundle_note"] = bundle.manifest.provenance.note
    else:
        load_strategy(settings.strategy.name, settings.strategy.options)
    if arms:
        _arm(settings)
        return
    if warms:
        found["kernels_ready_s"] = round(warm_kernels(settings), 2)
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for name, value in found.items():
        if value is not None:
            sys.stdout.write(f"{name:<18} {value}\n")
    sys.stdout.write("ok: configuration and model are valid\n")


def _arm(settings: Settings) -> None:
    """The token alone on standard output, for a file; what it arms is for the person who makes it."""
    token = arm_token(settings)
    account = masked(str(settings.ib.account))
    sys.stderr.write(
        f"This token lets `trader run --broker ib` trade account {account} with real money, with this configuration "
        "and no other. Read its limits (live.yaml) once more.\n"
    )
    sys.stdout.write(f"{token}\n")
