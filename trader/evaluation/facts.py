"""The facts of an evaluation: what was evaluated, on what, under which terms, and what may be claimed."""

import hashlib
from pathlib import Path

import msgspec

from trader import __version__
from trader.adapters.strategy_loader import SHIPPED
from trader.analysis.bootstrap import RESAMPLES
from trader.analysis.evaluation import Facts
from trader.analysis.verdict import DAILY_VALUES_MIN
from trader.assembly import terms_of_trade
from trader.domain.instruments import instrument
from trader.evaluation.asked import Asked
from trader.evaluation.claims import bundle_facts, claim_of
from trader.evaluation.runs import Made
from trader.settings import decision_hash


def facts_of_evaluation(asked: Asked, made: Made) -> Facts:
    """What was evaluated, on what, under which terms."""
    settings, report = asked.settings, made.report
    market = instrument(settings.market)
    terms = terms_of_trade(settings, market)
    bundle = None if made.run.bundle is None else bundle_facts(made.run.bundle)
    bars = asked.market.facts
    claim, reason = claim_of(
        report.run.labels,
        asked.split,
        bundle,
        is_shipped=settings.strategy.name in SHIPPED,
        enough=report.run.sessions >= DAILY_VALUES_MIN,
    )
    facts = Facts(
        evaluation_id="",
        strategy=Path(settings.strategy.name).name,
        bundle=bundle,
        source=bars.source,
        bars_sha256=bars.sha256,
        is_synthetic=bars.synthetic,
        market=market.symbol,
        market_name=market.name,
        tick=market.tick,
        tick_value_usd=market.tick_value_cents / 100,
        bar_minutes=bars.bar_minutes,
        bars=report.run.bars,
        window_bars=report.run.window_bars,
        skipped_bars=asked.skipped_bars,
        first_session=report.run.first_session or "",
        last_session=report.run.last_session or "",
        sessions=report.run.sessions,
        advisor=settings.advisor.backend,
        commission_side_usd=terms.commission_side_cents / 100,
        slippage_ticks=terms.slippage_ticks,
        forced_slippage_ticks=terms.forced_slippage_ticks,
        qty=settings.execution.qty,
        start_balance_usd=settings.account.start_balance_cents / 100,
        trailing_limit_usd=settings.account.trailing_limit_cents / 100,
        entry_window=settings.execution.entry_window,
        settings_sha256=decision_hash(settings),
        code_version=__version__,
        mismatches=report.run.mismatches,
        labels=tuple(label.value for label in report.run.labels),
        claim=claim,
        claim_reason=reason,
        seeds=asked.seeds,
        bootstrap_resamples=RESAMPLES,
        command=asked.command,
    )
    return msgspec.structs.replace(facts, evaluation_id=identity_of(asked, facts))


def identity_of(asked: Asked, facts: Facts) -> str:
    """A short name of exactly this evaluation: bars, model, settings, seeds and version."""
    digest = hashlib.sha256(msgspec.json.encode((asked.market.facts, facts, asked.settings.advisor.backend)))
    return digest.hexdigest()[:12]


def subject_of_run(made: Made) -> str:
    """What a trial is of: a model's SHA-256, or a strategy's name with the beginning of its source's."""
    if made.run.bundle is not None:
        return made.run.bundle.id
    return f"{name_of(made)}:{(made.run.start.strategy_sha256 or '')[:12]}"


def name_of(made: Made) -> str:
    """A model or strategy as a person calls it, without its folder."""
    bundle = made.run.bundle
    return Path(made.settings.strategy.name).name if bundle is None else bundle.manifest.name
