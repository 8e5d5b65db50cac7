"""The page and the JSON Schema of the decision log, made from the records that the program writes and reads."""

import json
from enum import Enum
from typing import Any, get_args

import msgspec
from log_fields import MEANINGS
from msgspec import Struct

from trader.domain.actions import Action, Side
from trader.domain.decisions import AdviceStatus, FusionMethod, NotAsked, Rule, Trigger
from trader.domain.orders import AmendCause, ExitReason, Order
from trader.records import (
    LOG_VERSION,
    Canonical,
    ContinueRecord,
    EndRecord,
    EventKind,
    EventRecord,
    FillRecord,
    FusionRecord,
    LlmRecord,
    OrderRecord,
    QueryRecord,
    RiskRecord,
    RlRecord,
    StartRecord,
)

Schema = dict[str, Any]

LINES: dict[str, type[Struct]] = {
    "c": Canonical,
    "e": EventRecord,
    "start": StartRecord,
    "continue": ContinueRecord,
    "end": EndRecord,
}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _names(*sets: type[Enum]) -> list[str]:
    names = [member.name if issubclass(kind, int) else str(member.value) for kind in sets for member in kind]
    return list(dict.fromkeys(names))


CLOSED_SETS: dict[tuple[type[Struct], str], list[str]] = {
    (RlRecord, "action"): _names(Action),
    (QueryRecord, "triggers"): _names(Trigger),
    (QueryRecord, "skipped_because"): _names(NotAsked),
    (LlmRecord, "action"): _names(Action),
    (LlmRecord, "status"): _names(AdviceStatus),
    (FusionRecord, "method"): _names(FusionMethod),
    (FusionRecord, "action"): _names(Action),
    (RiskRecord, "verdict"): ["approved", "vetoed", "idle"],
    (RiskRecord, "vetoes"): _names(Rule),
    (RiskRecord, "active"): _names(Rule),
    (OrderRecord, "kind"): [kind.__struct_config__.tag for kind in get_args(Order)],
    (OrderRecord, "side"): _names(Side),
    (EventRecord, "kind"): _names(EventKind),
    (OrderRecord, "reason"): _names(AmendCause, ExitReason),
    (FillRecord, "side"): _names(Side),
    (FillRecord, "reason"): _names(ExitReason),
}


def schema() -> Schema:
    """The JSON Schema of one line, as an object."""
    _, definitions = msgspec.json.schema_components(
        MEANINGS, schema_hook=lambda _: {"description": "any value"}, ref_template="#/$defs/{name}"
    )
    for record, meanings in MEANINGS.items():
        definition = definitions[record.__name__]
        definition["additionalProperties"] = False
        for name, meaning in meanings.items():
            field = definition["properties"][name]
            definition["properties"][name] = _described(field, meaning, CLOSED_SETS.get((record, name)))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of a decision log, version {LOG_VERSION}",
        "oneOf": [_line(key, record) for key, record in LINES.items()],
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def schema_page() -> str:
    """The schema as the file of `docs/`."""
    return json.dumps(schema(), indent=2) + "\n"


def _line(key: str, record: type[Struct]) -> Schema:
    return {
        "type": "object",
        "properties": {
            key: {"$ref": f"#/$defs/{record.__name__}"},
            "x": {"type": "object", "properties": {"sha256": HASH}, "required": ["sha256"]},
            "hash": HASH,
        },
        "required": [key, "x", "hash"],
        "additionalProperties": False,
    }


def _described(field: Schema, meaning: str, values: list[str] | None) -> Schema:
    if values is not None:
        field = _restricted(field, values)
    return {**field, "description": meaning}


def _restricted(field: Schema, values: list[str]) -> Schema:
    """The schema of a text, or of a list of texts or a text that may be null, with its closed set."""
    if field.get("type") == "array":
        return {**field, "items": {**field["items"], "enum": values}}
    if "anyOf" in field:
        return {**field, "anyOf": [_restricted(part, values) for part in field["anyOf"]]}
    return {**field, "enum": values} if field.get("type") == "string" else field


def page() -> str:
    """The page of the decision log: what it is, how it is checked, and every field."""
    definitions = schema()["$defs"]
    sections = [_section(key, record, definitions) for key, record in LINES.items()]
    parts = [record for record in MEANINGS if record not in LINES.values()]
    inner = [_section(_field_of(record, definitions), record, definitions) for record in parts]
    return "\n".join([HEAD, "## Lines\n", *sections, "## Parts of a line\n", *inner])


def _section(title: str, record: type[Struct], definitions: dict[str, Schema]) -> str:
    definition = definitions[record.__name__]
    lines = [f"### {title}", "", _sentence(record), "", "| field | type | meaning |", "|---|---|---|"]
    for name, field in definition["properties"].items():
        meaning = field["description"]
        values = CLOSED_SETS.get((record, name))
        said = f"{meaning}: {', '.join(f'`{value}`' for value in values)}" if values is not None else meaning
        lines.append(f"| `{name}` | {_type(field)} | {said} |")
    return "\n".join([*lines, ""])


def _sentence(record: type[Struct]) -> str:
    return " ".join((record.__doc__ or "").split())


def _field_of(record: type[Struct], definitions: dict[str, Schema]) -> str:
    """The names under which other records hold this one."""
    reference = f"#/$defs/{record.__name__}"
    names = {
        name
        for definition in definitions.values()
        for name, field in definition["properties"].items()
        if reference in {part.get("$ref") for part in (field, field.get("items", {}), *field.get("anyOf", ()))}
    }
    return ", ".join(f"`{name}`" for name in sorted(names))


def _type(field: Schema) -> str:
    if "$ref" in field:
        return "object"
    if "anyOf" in field:
        return " or ".join(_type(part) for part in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    return str(field.get("type", "any"))


HEAD = f"""# The decision log, version {LOG_VERSION}

Generated from `trader/records.py` by `python scripts/make_docs.py`; do not edit. The schema of a line, for programs, is
[decision-log.schema.json](decision-log.schema.json).

One folder a run, one file a session: `logs/<run>/decisions-YYYY-MM-DD.jsonl`, UTF-8, one JSON object a line. A run's
first file begins with a `start` line, each later one with `continue`; between them stands one `c` line for every closed
bar, and an `e` line for what else a replay must know; the last line of a run that was not cut off is `end`.

    {{"c": ..., "x": ..., "hash": ...}}

`c` (or `e`, `start`, `continue`, `end`) is canonical: the same bars, settings, model and advice give the same bytes,
whenever and wherever they are run. `x` holds the rest (mode, run id; of a live run also wall times and broker ids) and
ends with the sha256 of its own JSON without it. Prices are points on the tick, money is dollars with cents, other
floats are rounded to 1e-6.

## The chain

`hash` is the sha256 over the hash of the line before (hex, ASCII; nothing before the first) and the bytes of the
canonical value as they stand in the file. The hash of the last line is also kept in `head.json` beside the files.
`trader verify` recomputes all of it. The chain by itself, without this program:

```python
import hashlib, json, pathlib, re, sys

head = ""
for file in sorted(pathlib.Path(sys.argv[1]).glob("decisions-*.jsonl")):
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        value = re.fullmatch(rb'{{"[a-z]+":(.*),"x":{{.*}},"hash":"[0-9a-f]{{64}}"}}', line)[1]
        head = hashlib.sha256(head.encode() + value).hexdigest()
        if head != json.loads(line)["hash"]:
            sys.exit(f"{{file.name}}:{{number}} does not follow")
print(head)
```

It shows damage, not malice: whoever rewrites every hash and `head.json` is found only by a copy of the head elsewhere.

## Reading it

    trader logs logs/ --vetoed --last 20
    trader logs logs/ --json --action BUY | jq -c '.c | [.bar.close_et, .rl.confidence, .risk.verdict]'
    jq -c '.c.fills[]? | select(.pnl) | [.ts_utc, .reason, .pnl]' logs/*/decisions-*.jsonl
"""
