"""The layers that a configuration is made of: shipped files, one profile, a user's file, environment, `--set`.

Each becomes a tree whose keys know where they stand; keys that the schema lacks are found here. May import pathlib.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from trader.errors import ConfigurationError, UsageError
from trader.settings.keys import leaf_of, nearest, section_keys
from trader.settings.yaml_tree import MAX_CHARS, parse_tree, parse_value

SHIPPED_DIR = Path(__file__).resolve().parents[2] / "config"  # beside the package, in a checkout and in site-packages
ENVIRONMENT_PREFIX = "TRADER_"


# Reading YAML is most of what a configuration costs, and the shipped files stay as they are. Nobody changes a tree.
_parsed = lru_cache(maxsize=8)(parse_tree)


@dataclass(frozen=True)
class Layer:
    """One source of values. `places` has an entry for each key of `tree`, sections included: where it is set."""

    name: str
    tree: dict[str, object]
    places: Mapping[str, str]

    def leaves(self) -> frozenset[str]:
        """The known keys that this layer gives a value."""
        return frozenset(leaf for leaf in map(leaf_of, self.places) if leaf is not None)


def file_layer(path: Path) -> Layer:
    """A YAML file; ConfigurationError where it cannot be read or is no tree of keys."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARS + 1)
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text (byte {error.start})"
        raise ConfigurationError(msg) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        msg = f"{path}: cannot be read: {reason}"
        raise ConfigurationError(msg) from error
    tree = _parsed(text, str(path))
    root = _without_empty_sections(tree.root, "")
    return Layer(str(path), root, {key: f"{path}:{line}" for key, line in tree.lines.items()})


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """`TRADER_FUSION__LLM_WEIGHT=0.4` as fusion.llm_weight; the value is YAML. Names are upper case throughout."""
    names = sorted(name for name in environ if name.startswith(ENVIRONMENT_PREFIX))
    return _pairs_layer("environment", ((_environment_key(name), environ[name], name) for name in names))


def overrides_layer(overrides: Sequence[str]) -> Layer:
    """`--set fusion.llm_weight=0.4`, the last one winning; UsageError where one has no `=`."""
    return _pairs_layer("--set", (_override_pair(text) for text in overrides))


def problems_in(layer: Layer) -> list[str]:
    """A line for each key that the schema lacks and for each section that is given a single value."""
    return list(_problems(layer, layer.tree, ""))


def _without_empty_sections(tree: dict[str, object], prefix: str) -> dict[str, object]:
    """`tree` without the sections of which every line is commented out: YAML reads them as null."""
    kept: dict[str, object] = {}
    for name, value in tree.items():
        key = prefix + name
        if key not in section_keys():
            kept[name] = value
        elif value is not None:
            kept[name] = _without_empty_sections(value, f"{key}.") if isinstance(value, dict) else value
    return kept


def _environment_key(name: str) -> str:
    rest = name.removeprefix(ENVIRONMENT_PREFIX)
    return (rest.lower() if rest == rest.upper() else rest).replace("__", ".")


def _override_pair(text: str) -> tuple[str, str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        msg = f"--set {text}: expected KEY=VALUE, such as --set fusion.llm_weight=0.4"
        raise UsageError(msg)
    return key.strip(), value, "--set"


def _pairs_layer(name: str, pairs: Iterator[tuple[str, str, str]]) -> Layer:
    tree: dict[str, object] = {}
    places: dict[str, str] = {}
    for key, text, place in pairs:
        value = parse_value(text, f"{place} {key}")
        _put(tree, key, value)
        parts = key.split(".")
        places |= {".".join(parts[:count]): place for count in range(1, len(parts) + 1)}
        places |= dict.fromkeys(_keys_below(value, key), place)
    return Layer(name, tree, places)


def _put(tree: dict[str, object], key: str, value: object) -> None:
    *sections, name = key.split(".")
    for section in sections:
        below = tree.get(section)
        tree[section] = below = below if isinstance(below, dict) else {}
        tree = below
    tree[name] = value


def _keys_below(value: object, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield f"{key}.{name}"
            yield from _keys_below(below, f"{key}.{name}")


def _problems(layer: Layer, tree: dict[str, object], prefix: str) -> Iterator[str]:
    for name, value in tree.items():
        key = prefix + name
        if key in section_keys() and isinstance(value, dict):
            yield from _problems(layer, value, f"{key}.")
        elif key in section_keys():
            yield f"{layer.places[key]}: {key} is a section of keys and takes no value of its own"
        elif leaf_of(key) is None:
            near = nearest(key)
            hint = f"; did you mean {near}?" if near else ""
            yield f"{layer.places[key]}: unknown key {key}{hint}"
        elif "." in name:
            yield f"{layer.places[key]}: write {key} as nested keys, one level a line"
