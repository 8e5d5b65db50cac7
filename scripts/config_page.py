"""The page of the configuration, made from the shipped files and the schema: values, meanings, ranges, marks."""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trader.settings import SHIPPED_DIR, Settings
from trader.settings.keys import marks_by_key

FILES = ("trader.yaml", "llm_config.yaml", "paper.yaml", "live.yaml")
LINE = re.compile(r"(?P<indent> *)(?P<name>\w+):(?: (?P<value>(?:\"[^\"]*\"|[^#\"])*?))?(?:\s*# (?P<meaning>.*))?")
BOUNDS = {annotated_types.Ge: ">=", annotated_types.Gt: ">", annotated_types.Le: "<=", annotated_types.Lt: "<"}
KINDS = {bool: "true, false", int: "whole", float: "number"}
HEAD = """# The configuration

Generated from `config/*.yaml` and `trader/settings` by `python scripts/make_docs.py`; do not edit.

From the weakest to the strongest: `trader.yaml`, `llm_config.yaml`, the profile (`paper.yaml` or, with
`--profile live`, `live.yaml`), `--config FILE`, `TRADER_SECTION__KEY` in the environment, `--set section.key=value`.
No value comes out of the code: a key that is missing is an error, and so is one that is not known.

*limit*: a safety limit; `live.yaml` states each of them itself, here as paper / live where they differ. *aside*:
changes no decision, and is not part of the hash that names a configuration in the decision log (`ids.config`).

Real money needs all of: `live: true` in a file (not `--set`, not the environment), `--profile live`, `ib.account` with
the real account, and `live_token`, a file of mode 0600 that holds what `trader check --arm-live` prints: sha256 of the
account and of every key but `live_token`. A changed account or configuration voids it; a restart does not.
"""


def page() -> str:
    """The page, a table a section."""
    shipped = {name: dict(_lines((SHIPPED_DIR / name).read_text(encoding="utf-8"))) for name in FILES}
    fields = dict(_fields(Settings, ""))
    parts = [HEAD]
    for section in dict.fromkeys(_section(key) for key in fields):
        rows = [_row(key, fields[key], shipped) for key in fields if _section(key) == section]
        meaning = next((text[section][1] for text in shipped.values() if text.get(section, ("", ""))[1]), "")
        parts.append(_table(section, meaning, rows))
    return "\n".join(parts)


def _section(key: str) -> str:
    return key.partition(".")[0] if "." in key else ""


def _table(section: str, meaning: str, rows: list[str]) -> str:
    title = f"## `{section}`" if section else "## The top"
    text = [f"{meaning[0].upper()}{meaning[1:]}.", ""] if section and meaning else []
    return "\n".join([title, "", *text, "| key | value | takes | mark | meaning |", "|---|---|---|---|---|", *rows, ""])


def _row(key: str, field: FieldInfo, shipped: dict[str, dict[str, tuple[str, str]]]) -> str:
    told = [shipped[name][key] for name in FILES if key in shipped[name]]
    values = list(dict.fromkeys(value for value, _ in told))
    meaning = told[0][1]
    marks = ", ".join(sorted(mark.name.lower() for mark in marks_by_key()[key]))
    name = key.partition(".")[2] or key
    cells = [f"`{name}`", f"`{' / '.join(values)}`", _takes(field), marks, meaning]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _lines(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each key with its value as it is written and its comment; a block of text is only named."""
    path: list[str] = []
    for line in text.splitlines():
        found = LINE.fullmatch(line)
        if found is None or len(found["indent"]) // 2 > len(path):
            continue
        path = [*path[: len(found["indent"]) // 2], found["name"]]
        value = (found["value"] or "").strip()
        yield ".".join(path), ("(text)" if value.startswith("|") else value, found["meaning"] or "")


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _takes(field: FieldInfo) -> str:
    """The choices or the range, where the schema has one."""
    words = [json.dumps(word).strip('"') for word in _choices(field.annotation)]
    if words:
        return ", ".join(f"`{word}`" for word in words)
    parts = _parts(field.annotation)
    if any(get_origin(part) is dict for part in parts):
        return ""
    kind = next((KINDS[part] for part in parts if part in KINDS), "")
    bounds = {}
    for mark in [*_marks(field.annotation), *field.metadata]:
        for bound, sign in BOUNDS.items():
            if isinstance(mark, bound):
                bounds[sign[0]] = f"{sign} {getattr(mark, bound.__name__.lower()):,.10g}"
    return " ".join([kind, " and ".join(bounds.values())]).strip()


def _choices(annotation: Any) -> list[object]:
    return [word for part in _parts(annotation) if get_origin(part) is Literal for word in get_args(part)]


def _parts(annotation: Any) -> list[Any]:
    """The annotation itself, and what a union or an Annotated is made of."""
    below = () if get_origin(annotation) is Literal else get_args(annotation)
    return [annotation, *(part for each in below for part in _parts(each))]


def _marks(annotation: Any) -> list[Any]:
    return [mark for part in _parts(annotation) for mark in getattr(part, "__metadata__", ())]
