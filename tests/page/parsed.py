"""Reads a page the way a strict reader would: every element closed, every coordinate a place inside its drawing."""

import math
import re
from html.parser import HTMLParser

VOID = {"br", "col", "hr", "link", "meta"}
ACROSS = ("x", "x1", "x2", "cx")
UPWARD = ("y", "y1", "y2", "cy")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Parsed(HTMLParser):
    """What a page holds. `svgs` maps each drawing's id to its shapes' (element, attributes) in order, `tables` a
    caption to its table's rows of cells, the head first; an interval below a figure follows it after a space."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.tags: list[str] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.svgs: dict[str, list[tuple[str, dict[str, str]]]] = {}
        self.boxes: dict[str, tuple[float, float]] = {}
        self.texts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._svg = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; SVG leaves close themselves."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes |= set(given)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src", "action", "data", "poster") if name in given]
        if tag == "script":
            self.scripts.append((given.get("type"), ""))
        if tag == "svg":
            self._svg = given["id"]
            self.svgs[self._svg] = []
            self.boxes[self._svg] = tuple(float(value) for value in given["viewbox"].split()[2:])  # type: ignore[assignment]
        elif self._svg:
            self.svgs[self._svg].append((tag, given))
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"th", "td"}:
            self._rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that closes itself."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """The innermost open element has to be this one."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag == "svg":
            self._svg = ""

    def handle_data(self, data: str) -> None:
        """Text, or a script's."""
        if self.open and self.open[-1] == "script":
            kind, before = self.scripts[-1]
            self.scripts[-1] = (kind, before + data)
            return
        self.texts.append(data)
        if self._svg and self.open[-1] == "text":
            self.svgs[self._svg][-1][1]["data"] = data
        if "caption" in self.open:
            self.tables.setdefault(data, self._rows)
        elif "th" in self.open or "td" in self.open:
            self._rows[-1][-1] += f" {data}" if "small" in self.open else data

    @property
    def text(self) -> str:
        """All that is read."""
        return "".join(self.texts)


CHARACTER_PX = 6.7
"""About the width of a digit in the drawings' 12 px type."""


def outside(page: Parsed) -> list[str]:
    """The shapes and texts of all drawings that are not finite places inside their viewBox."""
    return [
        f"{name}: {tag} {attributes}"
        for name, shapes in page.svgs.items()
        for tag, attributes in shapes
        if not _is_inside(attributes, *page.boxes[name])
    ]


def _is_inside(attributes: dict[str, str], width: float, height: float) -> bool:
    xs = [float(attributes[name]) for name in ACROSS if name in attributes]
    ys = [float(attributes[name]) for name in UPWARD if name in attributes]
    if "width" in attributes:
        xs.append(xs[0] + float(attributes["width"]))
        ys.append(ys[0] + float(attributes["height"]))
    if "data" in attributes:
        length = len(attributes["data"]) * CHARACTER_PX
        before = {"end": 1.0, "middle": 0.5}
        share = next((part for name, part in before.items() if name in attributes["class"].split()), 0.0)
        xs += [xs[0] - share * length, xs[0] + (1 - share) * length]
    points = [float(number) for number in NUMBER.findall(attributes.get("d", ""))]
    xs += points[::2]
    ys += points[1::2]
    return all(math.isfinite(x) and -0.01 <= x <= width + 0.01 for x in xs) and all(
        math.isfinite(y) and -0.01 <= y <= height + 0.01 for y in ys
    )
