"""The page: one HTML file that opens without a network and may run nothing but its own scripts."""

import base64
import hashlib
from importlib import resources

import msgspec

from trader.analysis.evaluation import Chart, Evaluation
from trader.page.advice import advice_section, calibration_section, vetoes_section
from trader.page.closing import definitions_section, reproduce_section
from trader.page.curves import equity_curves
from trader.page.frame import Frame
from trader.page.full import figures_section
from trader.page.markup import Markup, joined, tag
from trader.page.overview import comparison_section, masthead, running_head, verdict_section
from trader.page.prices import json_block, prices_section
from trader.page.results import calendar_section, curves_section, trades_section
from trader.page.strength import strength_section, walk_forward_section
from trader.page.trade_list import trade_list_section

_CONTENTS = (
    ("verdict", "Verdict"),
    ("comparison", "Baselines"),
    ("curves", "Equity"),
    ("prices", "Prices"),
    ("calendar", "Calendar"),
    ("trades", "Trades"),
    ("figures", "All figures"),
    ("advice", "Advice"),
    ("calibration", "Calibration"),
    ("vetoes", "Vetoes"),
    ("strength", "Strength"),
    ("walk-forward", "Walk-forward"),
    ("list", "Trade list"),
    ("definitions", "Definitions"),
    ("reproduce", "Reproduce"),
)


def document(evaluation: Evaluation, chart: Chart) -> str:
    """The whole page as text."""
    style, scripts = _asset("page.css"), [_asset("vendor/lightweight-charts.js"), _asset("page.js")]
    facts = evaluation.facts
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, scripts)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{facts.market} {facts.first_session} to {facts.last_session}: {facts.claim.value}"),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        running_head(facts),
        tag("main", masthead(evaluation), _contents(evaluation), *_sections(evaluation, chart)),
        json_block("curve-data", _curve_data(evaluation)),
        *(tag("script", Markup(script)) for script in scripts),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _sections(evaluation: Evaluation, chart: Chart) -> list[Markup | None]:
    return [
        verdict_section(evaluation),
        comparison_section(evaluation),
        curves_section(evaluation),
        prices_section(evaluation, chart),
        calendar_section(evaluation),
        trades_section(evaluation),
        figures_section(evaluation),
        advice_section(evaluation),
        calibration_section(evaluation),
        vetoes_section(evaluation),
        strength_section(evaluation),
        walk_forward_section(evaluation),
        trade_list_section(evaluation),
        definitions_section(evaluation),
        reproduce_section(evaluation),
    ]


def _contents(evaluation: Evaluation) -> Markup:
    missing = {"walk-forward"} if evaluation.walk_forward is None else set()
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title in _CONTENTS if name not in missing]
    return tag("nav", tag("ul", joined(links)), aria_label="Contents")


def _curve_data(evaluation: Evaluation) -> str:
    """What the equity chart tells under a pointer: dates, each line's values, and the plot's edges in its viewBox."""
    curves, frame = equity_curves(evaluation), Frame()
    lines = [{"title": line.title, "values": [round(value, 2) for value in line.values]} for line in curves.lines]
    edges = {"left": frame.left, "right": frame.x_end, "width": frame.width}
    return msgspec.json.encode({"dates": curves.dates, "lines": lines[::-1], **edges}).decode()


def _asset(name: str) -> str:
    path = resources.files("trader.page")
    for part in name.split("/"):
        path = path.joinpath(part)
    return path.read_text("utf-8")


def _policy(style: str, scripts: list[str]) -> str:
    """A content security policy: nothing is loaded, and only what stands in the page runs."""
    allowed = " ".join(_hash(script) for script in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
