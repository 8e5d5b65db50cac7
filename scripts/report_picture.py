"""A picture of an evaluation's page for the README, by headless Chromium: `report_picture.py FOLDER PICTURE.png`.

Only of synthetic bars: the page shows prices, and no market data enters the repository. Pictures of real runs are
`trader report FOLDER --png`, which draws their equity alone.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from trader.analysis.evaluation import read_chart, read_evaluation
from trader.page.document import document

SIZE = "1240,1500"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=3000",
)


def draw(folder: Path, picture: Path) -> str | None:
    """Write the picture; None, or what is wrong."""
    evaluation, chart = read_evaluation(folder), read_chart(folder)
    if not evaluation.facts.is_synthetic:
        return f"{folder} is of real bars: its page shows prices, which stay out of the repository"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return f"none of {', '.join(BROWSERS)} is installed"
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        page.write_bytes(document(evaluation, chart).encode())
        options = [f"--window-size={SIZE}", f"--user-data-dir={scratch}/profile", f"--screenshot={picture.resolve()}"]
        subprocess.run([browser, *FLAGS, *options, page.as_uri()], check=True, capture_output=True)  # noqa: S603 - ours
    return None


if __name__ == "__main__":
    sys.exit(draw(Path(sys.argv[1]), Path(sys.argv[2])))
