"""YAML text as a tree that knows the line of each key. May import yaml and errors.

The scalars are YAML 1.2's core schema: in PyYAML's own 1.1, `off` is a boolean, 18:05 the integer 1085 and 2019-03-07 a
date. A repeated key, an alias and a foreign tag are refused instead of guessed at.
"""

import re
from typing import TYPE_CHECKING

import yaml

from trader.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARS = 262_144  # a configuration is a few pages; more is another file given by mistake

_TAG = "tag:yaml.org,2002:"


class _CoreSchemaLoader(yaml.SafeLoader):
    """PyYAML's parser with YAML 1.2's scalars."""


_PATTERNS = {
    "null": re.compile(r"(?:~|null|Null|NULL|)$"),
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"[-+]?[0-9]{1,20}$"),
    "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    "str": re.compile(""),
}
_CoreSchemaLoader.yaml_implicit_resolvers = {}
for _name in ("null", "bool", "int", "float"):
    _CoreSchemaLoader.add_implicit_resolver(_TAG + _name, _PATTERNS[_name], None)


class Tree:
    """Nested dictionaries, lists and scalars, with the place of each key: `lines["fusion.llm_weight"]` is its line."""

    def __init__(self, root: dict[str, object], lines: dict[str, int]) -> None:
        self.root = root
        self.lines = lines


def parse_tree(text: str, source: str) -> Tree:
    """The mapping that `text` holds, empty for an empty text. ConfigurationError names `source` and the line."""
    reader = _Reader(_Place(source, has_lines=True))
    root = reader.value_of(_compose(text, reader.place), "")
    if root is None:
        root = {}
    if not isinstance(root, dict):
        msg = f"{source}: must be a mapping of keys such as `fusion:`, not {_kind(root)}"
        raise ConfigurationError(msg)
    return Tree(root, reader.lines)


def parse_value(text: str, source: str) -> object:
    """The value that `text` is in YAML: `0.4`, `true`, `[BUY, SELL]`. ConfigurationError names `source`."""
    place = _Place(source, has_lines=False)
    return _Reader(place).value_of(_compose(text, place), "")


class _Place:
    """How errors name where they are: a file has lines, one value of the environment or of `--set` has none."""

    def __init__(self, source: str, *, has_lines: bool) -> None:
        self.source = source
        self._has_lines = has_lines

    def at(self, mark: yaml.Mark | None) -> str:
        return f"{self.source}:{mark.line + 1}" if mark and self._has_lines else self.source


def _compose(text: str, place: _Place) -> yaml.Node | None:
    if len(text) > MAX_CHARS:
        msg = f"{place.source}: {len(text):,} characters are no configuration; at most {MAX_CHARS:,}"
        raise ConfigurationError(msg)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_CoreSchemaLoader)
    except yaml.MarkedYAMLError as error:
        where = place.at(error.problem_mark or error.context_mark)
        msg = f"{where}: not valid YAML: {error.problem or error.context}"
        raise ConfigurationError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{place.source}: not valid YAML: {' '.join(str(error).split())}"
        raise ConfigurationError(msg) from error
    except (ValueError, OverflowError) as error:  # PyYAML lets chr() fail on "\\UFFFFFFFF"
        msg = f"{place.source}: not valid YAML: {error}"
        raise ConfigurationError(msg) from error
    except RecursionError as error:
        msg = f"{place.source}: nested too deeply"
        raise ConfigurationError(msg) from error
    return node


class _Reader:
    """Turns the nodes of one text into values and notes where each key stands."""

    def __init__(self, place: _Place) -> None:
        self.place = place
        self.lines: dict[str, int] = {}
        self._seen: set[int] = set()

    def value_of(self, node: yaml.Node | None, key: str) -> object:
        if node is None:
            return None
        if id(node) in self._seen:
            raise self._refusal(node, "an alias (*) is not supported: write the value out")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, key))
        if isinstance(node, yaml.SequenceNode):
            return [self.value_of(item, key) for item in node.value]
        return self._scalar(node)

    def _items(self, node: yaml.MappingNode, key: str) -> "Iterator[tuple[str, object]]":
        names: dict[str, int] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                raise self._refusal(name_node, "a key must be a plain word")
            name, line = name_node.value, name_node.start_mark.line + 1
            path = f"{key}.{name}" if key else name
            if name in names:
                raise self._refusal(name_node, f"{path} stands here and in line {names[name]}: keep one")
            names[name] = self.lines[path] = line
            yield name, self.value_of(value_node, path)

    def _scalar(self, node: yaml.Node) -> object:
        text, tag = str(node.value), node.tag.removeprefix(_TAG)
        if tag not in _PATTERNS or not _PATTERNS[tag].match(text):
            raise self._refusal(node, f"the tag {node.tag} on {text[:40]!r} is not supported")
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case _:
                return text

    def _refusal(self, node: yaml.Node, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self.place.at(node.start_mark)}: {problem}")


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else f"the single value {str(value)[:40]!r}"
