"""How often the advisor `rules` is asked on a bar file: the shipped model, and calm policies with advice left unused.

Usage: python scripts/campaign_query_rate.py --bars FILE [--rolls FILE] [--contract NAME] [--tz ZONE]
[--stamp open|close] [--from DATE --to DATE] [--set KEY=VALUE ...] [--json]

Shares are of all bars, and of those that could be asked (features ready, more than one valid action). Exit 1 where a
calm policy (at most four changes of position in 100 bars) is asked at more than 35 % of bars.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from trader.adapters.replay import ReplayFeed
from trader.commands.common import facts_for_log, open_source
from trader.commands.progress import Progress, WatchedFeed
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import TraderError
from trader.evaluation.query_rate import ADVICE_WITHOUT_A_SAY, ALLOWED_SHARE, CalmPolicy, QueryRate, query_rate
from trader.options import BarOptions
from trader.settings import load_settings

SUBJECTS: dict[str, float | None] = {"shipped": None, "calm at 0.34": 0.34, "calm at 0.9": 0.9}
"""What is measured, and the constant confidence of the calm policies."""


def measured(bars: BarOptions, overrides: list[str], confidence: float | None) -> QueryRate:
    """One run: the strategy of the settings, or a calm policy that trades alone."""
    calm = [] if confidence is None else [*ADVICE_WITHOUT_A_SAY, "account.on_exhausted=renew"]
    allowed = ["advisor.backend=rules", "policy.allow_mismatch=true", *calm, *overrides]
    settings = load_settings(environ={}, overrides=allowed)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    with Progress("query rate", source.bars_at_most) as progress:
        feed = WatchedFeed(ReplayFeed(source.columns()), progress)
        strategy = None if confidence is None else CalmPolicy(confidence)
        return query_rate(settings, facts_for_log(source, bars), feed, strategy)


def row(name: str, rate: QueryRate) -> str:
    """One line of the table."""
    triggers = ", ".join(f"{trigger.value} {count:,}" for trigger, count in rate.by_trigger.items())
    asked = (
        f"asked {rate.asked:7,} = {rate.asked_share:6.2%} ({rate.asked_share_of_open:6.2%} of {rate.open_bars:,} open)"
    )
    most = f"{rate.asked_in_stretch} (calm {rate.asked_in_calm_stretch})"
    return (
        f"{name:14} {rate.bars:9,} bars  {asked}  model calls {rate.model_calls:7,}  cached {rate.cached:6,}"
        f"  most in 100 bars {most}  changes {rate.changes_in_stretch}  advice decided {rate.advice_decided:,}"
        f"  [{triggers}]"
    )


def main() -> int:
    """The command line that the module's docstring describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", required=True)
    for option in ("rolls", "contract", "tz", "stamp"):
        parser.add_argument(f"--{option}")
    parser.add_argument("--from", dest="date_from")
    parser.add_argument("--to", dest="date_to")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--json", dest="as_json", action="store_true")
    wanted = parser.parse_args()
    bars = BarOptions(
        bars=wanted.bars,
        rolls=wanted.rolls,
        contract=wanted.contract,
        tz=wanted.tz,
        stamp=wanted.stamp,
        date_from=wanted.date_from,
        date_to=wanted.date_to,
    )
    try:
        rates = {name: measured(bars, wanted.overrides, confidence) for name, confidence in SUBJECTS.items()}
    except TraderError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if wanted.as_json:
        document = {
            name: {**msgspec.to_builtins(rate), "asked_share": rate.asked_share, "of_open": rate.asked_share_of_open}
            for name, rate in rates.items()
        }
        sys.stdout.write(msgspec.json.encode({"bars": Path(wanted.bars).name, **document}).decode() + "\n")
    else:
        sys.stdout.writelines(f"{row(name, rate)}\n" for name, rate in rates.items())
    return int(any(rates[name].asked_share > ALLOWED_SHARE for name in rates if SUBJECTS[name] is not None))


if __name__ == "__main__":
    sys.exit(main())
