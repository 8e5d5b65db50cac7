"""Draws the end of `make demo`: the program's own output on the synthetic sample, nothing edited but its speed, which
differs from run to run. `make_docs.py` writes it.
"""

import re
import subprocess
import sys
from html import escape

FONT_PX, CHARACTER_PX, LINE_PX, MARGIN_PX = 13, 7.83, 18, 18
INK, PAPER, LOUD = "#d6deeb", "#011627", "#ecc48d"
FONT = f"{FONT_PX}px 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def page() -> str:
    """Run the demo without a log and draw what it prints."""
    command = [sys.executable, "-m", "trader", "backtest", "--bars", "sample", "--no-log"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own program
    return draw(["$ make demo", *re.sub(r", [\d,]+ bars/s", "", printed).splitlines()])


def draw(lines: list[str]) -> str:
    """A page of this text as SVG; no font is fetched from anywhere."""
    width = round(2 * MARGIN_PX + CHARACTER_PX * max(map(len, lines)))
    height = 2 * MARGIN_PX + LINE_PX * len(lines)
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>text {{ white-space: pre; font: {FONT} }}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
            '<g xml:space="preserve">',
            *[_row(number, line) for number, line in enumerate(lines) if line],
            "</g>",
            "</svg>",
            "",
        ]
    )


def _row(number: int, line: str) -> str:
    ink = LOUD if line.startswith(("SYNTHETIC", "The model")) else INK
    y = MARGIN_PX + LINE_PX * number + FONT_PX
    length = f"{CHARACTER_PX * len(line):.1f}"
    return f'<text x="{MARGIN_PX}" y="{y}" fill="{ink}" textLength="{length}">{escape(line)}</text>'
