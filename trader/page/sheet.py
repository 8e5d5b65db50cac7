"""The building blocks of the page: sections, tables, figures with captions, and cards."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from trader.analysis.evaluation import Claim, Facts
from trader.analysis.evaluation_parts import Estimate
from trader.page.formats import NONE, between, words
from trader.page.markup import Markup, joined, tag

CLAIM_CLASS = {
    Claim.ENGINEERING_RUN: "engineering",
    Claim.IN_SAMPLE: "in-sample",
    Claim.OUT_OF_SAMPLE: "evidence",
}


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table: its head, and whether it holds figures."""

    head: str
    is_figure: bool = True


class Row(Struct, frozen=True, kw_only=True):
    """A row of a table: its cells, and a style for all of it."""

    cells: tuple[str, ...]
    style: str | None = None


def heads(first: str, *figures: str) -> tuple[Column, ...]:
    """Columns by their heads: the first names the rows, the others hold figures."""
    return Column(head=first, is_figure=False), *(Column(head=head) for head in figures)


def badges(facts: Facts) -> Markup:
    """The claim and the labels, short: they stand at the head of every section."""
    claim = tag("span", facts.claim.value, class_=f"badge {CLAIM_CLASS[facts.claim]}")
    labels = [tag("span", words(label).lower(), class_="badge label") for label in facts.labels]
    return tag("span", claim, *labels, class_="badges")


def section(facts: Facts, name: str, title: str, *parts: str | None) -> Markup:
    """A part of the page with its heading, which repeats what may be claimed."""
    head = tag("header", tag("h2", title), badges(facts))
    return tag("section", head, *parts, id=name)


def text(words_: str) -> Markup:
    """A paragraph of explanation."""
    return tag("p", words_, class_="text")


def figure(title: str, *parts: str | None, note: str | None = None, style: str | None = None) -> Markup:
    """A drawing or table with a heading above it and a note below."""
    body = tag("div", *parts, class_="scroll")
    return tag(
        "figure", tag("figcaption", title), body, None if note is None else tag("p", note, class_="note"), class_=style
    )


def pair(*figures: Markup) -> Markup:
    """Figures beside each other where the screen is wide enough."""
    return tag("div", *figures, class_="pair")


def trio(*figures: Markup) -> Markup:
    """Small tables, three beside each other where the screen is wide enough."""
    return tag("div", *figures, class_="trio")


def table(columns: Sequence[Column], rows: Iterable[Row], *, caption: str) -> Markup:
    """A table that scrolls by itself on a narrow screen; figures stand at the right."""
    head = tag("tr", joined(tag("th", column.head, scope="col", class_=_align(column)) for column in columns))
    body = [tag("tr", _first(row), *_rest(columns, row), class_=row.style) for row in rows]
    if not body:
        body = [tag("tr", tag("td", "none", colspan=len(columns)))]
    inner = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", inner, class_="scroll")


def card(name: str, value: str, below: str | None = None, style: str | None = None) -> Markup:
    """A key figure: its name, its value, and its interval or what it rests on."""
    return tag(
        "div",
        tag("dt", name),
        tag("dd", value, class_=style),
        None if below is None else tag("dd", below, class_="below"),
    )


def cards(*all_cards: Markup) -> Markup:
    """Key figures in a grid."""
    return tag("dl", *all_cards, class_="cards")


def terms(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names with what they stand for."""
    return tag("dl", joined(joined([tag("dt", name), tag("dd", said)]) for name, said in pairs), class_="terms")


def interval(estimate: Estimate, form: str, low: str, high: str) -> str:
    """`value [low to high]` of already written figures; the value alone where there is no interval."""
    return form if estimate.low is None or estimate.high is None else f"{form} [{between(low, high)}]"


def sign(value: float | None) -> str | None:
    """The style of a gain or a loss."""
    return None if not value else "pos" if value > 0 else "neg"


def or_none(value: str | None) -> str:
    """The text, or the dash."""
    return NONE if value is None else value


def _align(column: Column) -> str | None:
    return "fig" if column.is_figure else None


def _first(row: Row) -> Markup:
    return tag("th", row.cells[0], scope="row")


def _rest(columns: Sequence[Column], row: Row) -> list[Markup]:
    return [tag("td", cell, class_=_align(column)) for column, cell in zip(columns[1:], row.cells[1:], strict=True)]
