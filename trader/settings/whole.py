"""A whole configuration as one text, and back; and where the state folder is of a configuration that cannot be read."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from pydantic import ValidationError

from trader.errors import ConfigurationError, UsageError
from trader.settings.layers import SHIPPED_DIR, Layer, environment_layer, file_layer, overrides_layer
from trader.settings.schema import Settings

_DIR_OF_STATE = re.compile(
    r"^state:[ \t]*(?:#.*)?\n(?:[ \t]+.*\n|[ \t]*\n)*?[ \t]+dir:[ \t]*(?P<dir>[^#\n]+)", re.MULTILINE
)


def as_yaml(settings: Settings) -> str:
    """Every key with its value; the account's whole number is among them."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=True)


def from_yaml(text: str) -> Settings:
    """What `as_yaml` was given; ConfigurationError where this version has other keys."""
    try:
        return Settings(trees=[yaml.safe_load(text)])
    except (yaml.YAMLError, ValidationError) as error:
        msg = f"the last good configuration is of no use to this version ({type(error).__name__})"
        raise ConfigurationError(msg) from error


def without_model(settings: Settings) -> Settings:
    """The same with nobody who proposes or advises."""
    return settings.model_copy(
        update={
            "strategy": settings.strategy.model_copy(update={"name": "flat", "options": {}}),
            "advisor": settings.advisor.model_copy(update={"backend": "off"}),
            "fusion": settings.fusion.model_copy(update={"mode": "fixed"}),
        }
    )


def state_dir_named(
    *, config_dir: Path | None, config_file: Path | None, overrides: Sequence[str], environ: Mapping[str, str]
) -> Path | None:
    """`state.dir` out of layers of which some may be broken, the strongest that names it; None where none does."""
    folder = SHIPPED_DIR if config_dir is None else config_dir
    named = [value for layer in _pairs(overrides, environ) if (value := _dir_in(layer)) is not None]
    files = [] if config_file is None else [config_file]
    named += [value for path in (*files, folder / "trader.yaml") if (value := _dir_of(path)) is not None]
    return Path(named[0]) if named else None


def _pairs(overrides: Sequence[str], environ: Mapping[str, str]) -> list[Layer]:
    """Each override by itself: another one may be what is broken."""
    layers = []
    for text in reversed(overrides):
        with suppress(ConfigurationError, UsageError):
            layers.append(overrides_layer([text]))
    with suppress(ConfigurationError):
        layers.append(environment_layer({name: environ[name] for name in environ if name == "TRADER_STATE__DIR"}))
    return layers


def _dir_of(path: Path) -> str | None:
    try:
        return _dir_in(file_layer(path))
    except ConfigurationError:  # no tree of keys: the line may be there all the same
        with suppress(OSError, UnicodeDecodeError):
            found = _DIR_OF_STATE.search(path.read_text(encoding="utf-8"))
            return None if found is None else found["dir"].strip().strip("\"'")
    return None


def _dir_in(layer: Layer) -> str | None:
    state = layer.tree.get("state")
    value = state.get("dir") if isinstance(state, dict) else None
    return value if isinstance(value, str) and value else None
