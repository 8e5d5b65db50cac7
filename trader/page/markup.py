"""HTML and SVG as text that cannot be forgotten to be escaped: plain `str` is escaped, `Markup` is not."""

import html
import math
from collections.abc import Iterable

Value = str | int | float | bool | None

_VOID = frozenset({"br", "col", "hr", "link", "meta"})
_LEAVES = frozenset({"circle", "line", "path", "polyline", "rect"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """The text as HTML; what is HTML already stays."""
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def joined(parts: Iterable[str | None], separator: str = "") -> Markup:
    """The parts one after another, each escaped; None is left out."""
    return Markup(escaped(separator).join(escaped(part) for part in parts if part is not None))


def tag(name: str, /, *children: str | None, **attributes: Value) -> Markup:
    """An element. Attributes with None or False are left out, True has no value; `class_` is `class`, `_` is `-`."""
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{opening}>")
    if name in _LEAVES and not children:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{joined(children)}</{name}>")


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = short(value) if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'


def short(value: float) -> str:
    """A coordinate with at most two decimals; ValueError where it is not finite."""
    if not math.isfinite(value):
        msg = f"{value} is no coordinate"
        raise ValueError(msg)
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
