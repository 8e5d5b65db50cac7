"""Write the generated pages of `docs/`: what stands in a table of the code is not written a second time by hand.

Usage: python scripts/make_docs.py [--check] [PAGE ...]; with --check nothing is written and a page that is out of date
is exit 1.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import config_page
import demo_picture
import log_page

from trader import observation
from trader.observation import FEATURES, ROW_SIZE, WINDOW_BARS, Feature, Group

DOCS = Path(__file__).parents[1] / "docs"

TITLES = {
    Group.WINDOW: "The window: 20 bars of 11 numbers",
    Group.POSITION: "Position and validity",
    Group.MARKET: "Market context",
    Group.TIMEFRAME: "Multiple time frames",
    Group.PATTERN: "Patterns",
    Group.RISK: "Risk",
}


def observation_page() -> str:
    """The page of the observation: every feature, from the table that training and service use."""
    parts = [_observation_head()]
    parts += [_section(group) for group in Group]
    return "\n".join(parts)


def _observation_head() -> str:
    words = "\n".join(f"- {term}" for term in observation.TERMS)
    base, full = observation.BASE_SIZE, observation.FULL_SIZE
    base_bars, full_bars = observation.first_full(base, 1), observation.first_full(full, 1)
    from_open, settled = observation.CLOSED_BARS * 60, observation.settled(full, 1)
    return f"""# The observation: {full} numbers, schema `{observation.SCHEMA}`

Generated from `trader/observation.py` by `python scripts/make_docs.py`; do not edit.

One float32 vector a closed bar `t`, from bars up to and including `t`. A policy eats the first {base} numbers ("base")
or all {full} ("full"). Its bundle carries the hash of this table, and one whose hash differs is refused:

    {observation.schema_hash()}

Every value is finite, clipped as stated, and without unit: no raw price, no raw dollars. A contract roll shifts the
price state by the roll's offset, so no feature sees the jump.

*Full* is the number of bars until a feature's window is full, at the latest, with bars of one minute; clock time
(15 and 60 minutes, the session) takes fewer bars of longer periods. A model trades only when every feature that it uses
is full: base after {base_bars} bars, full after {from_open} where the history begins with a session, else after
{full_bars} at most. *Settled* is the number of bars after which the start of the history moves the value by less than a
thousandth of its clip: exact where a window has an end, computed where an average forgets by a fixed share a bar, else
measured on NQ's one-minute bars of 2015 to 2022 with a tenth on top (`scripts/measure_settled.py`). The largest,
{settled} bars of one minute, is the longest look-back: what lies between training and test in a split, and where
`trader check recursive` begins to compare. While prices stand still, at a limit for instance, nothing is forgotten.

Terms:

{words}
"""


def _section(group: Group) -> str:
    if group is Group.WINDOW:
        return _window_section()
    features = [feature for feature in FEATURES if feature.group is group]
    return _table(TITLES[group], f"Index {features[0].index} to {features[-1].index}.", "index", features, _index)


def _window_section() -> str:
    newest = FEATURES[(WINDOW_BARS - 1) * ROW_SIZE : WINDOW_BARS * ROW_SIZE]
    text = (
        f"Index 0 to {newest[-1].index}, oldest bar first: number `k` of bar `t-lag` is index "
        f"`{ROW_SIZE} * ({WINDOW_BARS - 1} - lag) + k`, named `name_t-lag`. A row is computed once, when its bar "
        "closes, so at `t-lag` it is full and settled `lag` bars later than stated here for bar `t`."
    )
    return _table(TITLES[Group.WINDOW], text, "k", newest, lambda feature: str(feature.index % ROW_SIZE))


def _index(feature: Feature) -> str:
    return str(feature.index)


def _table(title: str, text: str, key: str, features: Iterable[Feature], label: Callable[[Feature], str]) -> str:
    lines = [f"## {title}", "", text, ""]
    lines += [f"| {key} | name | value | clip | neutral | full | settled |", "|---|---|---|---|---|---|---|"]
    for feature in features:
        cells = [
            label(feature),
            f"`{feature.name.removesuffix('_t')}`",
            feature.formula.replace("|", "\\|"),
            f"{feature.low:g} .. {feature.high:g}",
            f"{feature.neutral:g}",
            str(feature.first_full(1)),
            str(feature.settled(1)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


PAGES: dict[str, Callable[[], str]] = {
    "observation.md": observation_page,
    "configuration.md": config_page.page,
    "decision-log.md": log_page.page,
    "decision-log.schema.json": log_page.schema_page,
    "demo.svg": demo_picture.page,
}


def main(arguments: list[str]) -> int:
    """Write or check the pages that are named, or all; 1 if a checked page is out of date."""
    check = "--check" in arguments
    named = [argument for argument in arguments if argument != "--check"] or list(PAGES)
    stale = [name for name in named if not _is_current(name, PAGES[name]())]
    if check:
        sys.stdout.write("".join(f"docs/{name} is out of date: python scripts/make_docs.py\n" for name in stale))
        return int(bool(stale))
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def _is_current(name: str, text: str) -> bool:
    path = DOCS / name
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
