"""`trader report`: the page of an evaluation, its trades for a journal, and pictures."""

import sys
from contextlib import suppress
from pathlib import Path

from trader.analysis.evaluation import EVALUATION_NAME, read_chart, read_evaluation
from trader.errors import InputError, UsageError
from trader.page.document import document
from trader.page.trades_csv import trades_csv

PAGE_NAME = "report.html"
TRADES_NAME = "trades.csv"


def run(path: Path, out: Path | None, *, draws_pictures: bool) -> None:
    """Write the page, `trades.csv` beside it and, if wanted, PNGs; an error leaves every file as it was."""
    folder = evaluation_folder(path)
    evaluation, chart = read_evaluation(folder), read_chart(folder)
    page = folder / PAGE_NAME if out is None else out
    made = {
        page: document(evaluation, chart).encode(),
        page.parent / TRADES_NAME: trades_csv(evaluation).encode(),
    }
    if draws_pictures:
        try:
            from trader.page.pictures import pictures  # noqa: PLC0415 -- matplotlib is an extra, and slow to import
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith("matplotlib"):
                raise
            msg = "`trader report --png` needs matplotlib, which is not installed: pip install 'nq-trader[report]'"
            raise UsageError(msg) from error
        made |= {page.parent / name: png for name, png in pictures(evaluation).items()}
    _write(made)
    facts = evaluation.facts
    sys.stdout.write(f"{facts.claim.value}: {evaluation.verdict.sentence}\n")
    sys.stdout.writelines(f"wrote {target} ({len(content):,} bytes)\n" for target, content in made.items())


def evaluation_folder(path: Path) -> Path:
    """The folder itself, or the newest evaluation in a folder of several; InputError where there is none."""
    if (path / EVALUATION_NAME).is_file() or not path.is_dir():
        return path
    records = sorted(path.glob(f"*/{EVALUATION_NAME}"), key=lambda record: (record.stat().st_mtime_ns, record))
    if not records:
        msg = f"{path} holds no {EVALUATION_NAME}; give the output folder of `trader evaluate`"
        raise InputError(msg)
    return records[-1].parent


def _write(made: dict[Path, bytes]) -> None:
    """All files are complete under other names before the first takes its place."""
    parts = {target: target.with_name(f"{target.name}.tmp") for target in made}
    try:
        for target, part in parts.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(made[target])
        for target, part in parts.items():
            part.replace(target)
    except OSError as error:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()
        msg = f"{error.filename}: cannot be written ({error.strerror}); name another place with --out"
        raise InputError(msg) from error
