"""The page of the configuration says what the files and the schema say, and leaves no key out."""

import runpy
from pathlib import Path

from trader.settings.keys import marks_by_key

ROOT = Path(__file__).parents[2]


def test_page_in_the_repository_is_the_generated_one() -> None:
    """Run scripts/make_docs.py after a change of a key."""
    made = runpy.run_path(str(ROOT / "scripts" / "config_page.py"))["page"]()
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == made


def test_page_has_a_row_with_value_and_meaning_for_each_key() -> None:
    """A key without a comment is one half of a pair, or a text that says itself what it is."""
    rows: dict[str, list[str]] = {}
    section = ""
    for line in (ROOT / "docs" / "configuration.md").read_text().splitlines():
        if line.startswith("## "):
            section = f"{line[4:-1]}." if "`" in line else ""
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]
            rows[section + cells[0].strip("`")] = cells
    assert set(rows) == set(marks_by_key())
    assert [key for key, cells in rows.items() if cells[1] == "``" or len(cells) != 5] == []
    bare = {key for key, cells in rows.items() if not cells[4]}
    assert bare == {"execution.windows.all.end", "prompt.system", "prompt.context_template"}
    assert rows["ib.ack_timeout_s"][1:4] == ["`3`", "number > 0 and <= 60", "aside, limit"]
    assert rows["guard.unattended_restart"][1] == "`true / false`"
