"""From the layers to one checked Settings, or one error that lists everything that is wrong and where."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trader.domain.actions import Action
from trader.domain.masking import masked
from trader.errors import ConfigurationError, UsageError
from trader.settings.keys import leaf_of, limit_keys
from trader.settings.layers import SHIPPED_DIR, Layer, environment_layer, file_layer, overrides_layer, problems_in
from trader.settings.schema import Settings


class Profile(StrEnum):
    """Which file states the limits: one for simulated money, one for real."""

    PAPER = "paper"
    LIVE = "live"


def load_settings(
    *,
    profile: str = "paper",
    config_dir: Path | None = None,
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str],
) -> Settings:
    """The configuration in force, from the weakest to the strongest layer:

    trader.yaml, llm_config.yaml, <profile>.yaml (all of `config_dir`, by default the shipped ones), the user's
    `config_file`, `environ` (TRADER_SECTION__KEY), `overrides` (a.b=c). ConfigurationError lists every unknown,
    misplaced or invalid key with its place; UsageError for an unknown profile or an override without `=`.
    """
    folder = SHIPPED_DIR if config_dir is None else config_dir
    chosen = _profile(profile)
    common = [file_layer(folder / "trader.yaml"), file_layer(folder / "llm_config.yaml")]
    limits = file_layer(folder / f"{chosen}.yaml")
    own = [] if config_file is None else [file_layer(config_file)]
    layers = [*common, limits, *own, environment_layer(environ), overrides_layer(overrides)]
    _refuse([problem for layer in layers for problem in problems_in(layer)])
    _refuse([*_second_places(common, limits, chosen), *_unstated(limits, chosen)])
    settings = _validated(layers)
    if chosen is Profile.LIVE:
        _refuse(_not_for_live(settings, layers))
    if settings.live:
        _refuse(_not_meant_as_live(chosen, layers))
    return settings


def unstated_limits(config_dir: Path | None = None) -> tuple[str, ...]:
    """The safety limits that live.yaml does not state itself; empty when it is complete."""
    live = file_layer((SHIPPED_DIR if config_dir is None else config_dir) / f"{Profile.LIVE}.yaml")
    return tuple(key for key in limit_keys() if key not in live.leaves())


def _profile(name: str) -> Profile:
    try:
        return Profile(name)
    except ValueError:
        msg = f"profile {name!r} is not known; one of: {', '.join(Profile)}"
        raise UsageError(msg) from None


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigurationError("\n".join(problems))


def _second_places(common: Sequence[Layer], limits: Layer, profile: Profile) -> list[str]:
    first, second = common
    repeated = [(key, first, second) for key in first.leaves() & second.leaves()]
    for layer in common:
        again = layer.leaves() & limits.leaves()
        allowed = frozenset(limit_keys()) if profile is Profile.LIVE else frozenset()
        repeated += [(key, layer, limits) for key in again - allowed]
    return [
        f"{two.places[key]}: {key} stands in {one.places[key]} already; a key has one place in the shipped files"
        for key, one, two in sorted(repeated, key=lambda entry: entry[0])
    ]


def _unstated(limits: Layer, profile: Profile) -> list[str]:
    if profile is not Profile.LIVE:
        return []
    return [
        f"{limits.name}: {key} is a safety limit and must be stated here"
        for key in limit_keys()
        if key not in limits.leaves()
    ]


def _validated(layers: Sequence[Layer]) -> Settings:
    try:
        return Settings(trees=[layer.tree for layer in layers])
    except ValidationError as error:
        lines = [_problem(details, layers) for details in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(dict.fromkeys(lines))) from error


def _problem(details: ErrorDetails, layers: Sequence[Layer]) -> str:
    path = ".".join(str(part) for part in details["loc"])
    key = leaf_of(path) or path
    if details["type"] == "missing":
        files = ", ".join(Path(layer.name).name for layer in layers[:3])
        return f"{key} is set nowhere; it belongs in one of {files}"
    demand = re.sub(r"^\w+ should ", "must ", details["msg"].removeprefix("Value error, "))
    inside = path.removeprefix(key).lstrip(".")
    where = f" ({inside})" if inside else ""
    shown = "" if isinstance(details["input"], dict) else f" = {_shown(key, details['input'])}"
    return f"{_place(path, layers)}: {key}{where}{shown}: {demand}"


def _place(key: str, layers: Sequence[Layer]) -> str:
    """Where the value in force was set: the strongest layer that has the key, or else the section that holds it."""
    while key:
        for layer in reversed(layers):
            if key in layer.places:
                return layer.places[key]
        key = key.rpartition(".")[0]
    return "configuration"


def _shown(key: str, value: object) -> str:
    text = masked(str(value)) if key == "ib.account" else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _not_for_live(settings: Settings, layers: Sequence[Layer]) -> list[str]:
    """What real money does not allow: reviews that are switched off, whole or rule by rule, and a second account."""
    refused = []
    if not settings.risk.enable_risk_veto:
        refused.append(("risk.enable_risk_veto", "false switches three rules off"))
    if settings.account.on_exhausted == "renew":
        refused.append(("account.on_exhausted", "real money is not renewed"))
    if not isinstance(settings.risk.veto_actions, str):
        refused += [
            (f"risk.veto_actions.{rule}", "a rule must block BUY and SELL")
            for rule, actions in settings.risk.veto_actions.items()
            if not {Action.BUY, Action.SELL} <= set(actions)
        ]
    return [f"{_place(key, layers)}: {key}: refused in the live profile: {why}" for key, why in refused]


def _not_meant_as_live(profile: Profile, layers: Sequence[Layer]) -> list[str]:
    """What `live: true` needs to be believed: a file that says so, and the limits that were made for real money."""
    place = _place("live", layers)
    refused = []
    if profile is not Profile.LIVE:
        refused.append(f"{place}: live: true needs --profile live: the limits in force are those for simulated money")
    if "live" in layers[-1].places or "live" in layers[-2].places:
        refused.append(f"{place}: live: true counts in a file only (--config FILE), where it can be read again")
    return refused
