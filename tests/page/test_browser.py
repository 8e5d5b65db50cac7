"""The page in a real browser: headless Chromium, without a network."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from evaluations import a_chart, an_evaluation

from trader.page.document import document

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=3000",
    "--window-size=1400,1200",
)


def shown(page: str, folder: Path) -> tuple[str, list[str]]:
    """The page's elements after its scripts have run, and what the console said."""
    file = folder / "page.html"
    file.write_bytes(page.encode())
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed (apt-get install chromium)")
def test_the_page_draws_its_chart_and_says_nothing_on_the_console(tmp_path):
    """Under its own policy: no refused style, no refused script, no error."""
    chart = a_chart(10)

    elements, console = shown(document(an_evaluation(10), chart), tmp_path)

    assert console == []
    assert f'data-drawn="{len(chart.open_s)}"' in elements
    place = re.search(r'<div id="price-chart".*?</div>\s*<noscript', elements, re.DOTALL)
    assert place is not None
    assert place[0].count("<canvas") >= 2
