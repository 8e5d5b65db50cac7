"""What an evaluation may claim: engineering run, in-sample, or out-of-sample evidence, and why."""

from collections.abc import Sequence

from trader.analysis.evaluation import BundleFacts, Claim
from trader.analysis.evaluation_parts import SplitFacts
from trader.analysis.figures import Label
from trader.analysis.splits import Past, Relation, Sample, gap_for, split_facts
from trader.domain.sessions import Calendar
from trader.errors import ConfigurationError
from trader.policy.bundle import Bundle
from trader.policy.manifest import Label as Origin
from trader.policy.manifest import Span


def bundle_facts(bundle: Bundle) -> BundleFacts:
    """As much of a bundle's manifest as a page says."""
    manifest = bundle.manifest
    origin = manifest.provenance
    return BundleFacts(
        id=bundle.id,
        name=manifest.name,
        phase=manifest.phase,
        market=manifest.market,
        label=origin.label.value,
        seed=origin.seed,
        steps=origin.steps,
        training_description=origin.training.description,
        training_sha256=origin.training.sha256,
        training_first_session=origin.training.first_session,
        training_last_session=origin.training.last_session,
    )


def split_of(bundle: Bundle | None, evaluated: Sample, calendar: Calendar) -> SplitFacts:
    """How the bars lie to those that the model was trained on; a strategy without a model, or with random weights, was
    not trained."""
    if bundle is None or bundle.manifest.provenance.label is Origin.RANDOM:
        return split_facts(None, evaluated, calendar)
    origin = bundle.manifest.provenance
    judged = origin.evaluation
    past = Past(
        trained=_sample(bundle, origin.training),
        chosen=None if judged is None else _sample(bundle, judged.bars),
        gap=gap_for(bundle.manifest.bar_minutes),
    )
    return split_facts(past, evaluated, calendar)


def _sample(bundle: Bundle, span: Span) -> Sample:
    return Sample(
        market=bundle.manifest.market,
        first_session=span.first_session,
        last_session=span.last_session,
        sha256=span.sha256,
        is_synthetic=bundle.manifest.provenance.label is Origin.SYNTHETIC,
    )


def claim_of(
    labels: Sequence[str], split: SplitFacts, bundle: BundleFacts | None, *, is_shipped: bool, enough: bool
) -> tuple[Claim, str]:
    """The claim and its reason. `is_shipped` says that a strategy without a model is one of this project's own;
    `enough`, that there are sessions enough for a verdict."""
    relation = Relation(split.relation)
    has_seen = relation.is_seen or Label.IN_SAMPLE in labels
    limits = (
        (Label.SYNTHETIC_BARS in labels, "the bars were made by a program: nothing here is about a real market"),
        (Label.UNTRAINED in labels, "the model is untrained: its weights are random numbers"),
        (Label.MISMATCH in labels and not has_seen, "the model was made for other bars than these"),
        (bundle is None and not is_shipped, "how this strategy came to its rules, and on which bars, is not known"),
        (relation is Relation.CHOSEN_ON, "the model was chosen among others by its results on these dates"),
        (not enough and not has_seen, "too few sessions to be evidence of anything"),
    )
    reason = next((why for holds, why in limits if holds), None)
    if reason is not None:
        return Claim.ENGINEERING_RUN, reason
    if has_seen:
        return Claim.IN_SAMPLE, "the model was trained on bars of these dates: it has seen what it is asked here"
    if bundle is None:
        return Claim.OUT_OF_SAMPLE, "nothing was fitted to these bars: the strategy has fixed rules"
    return Claim.OUT_OF_SAMPLE, "no bar of these dates was used in training"


def require_unseen(split: SplitFacts, *, allows: bool) -> None:
    """ConfigurationError where the model has seen these dates and the user has not said that he knows."""
    if Relation(split.relation).is_seen and not allows:
        msg = (
            f"{split.sentence} Choose other dates with --from and --to, or pass --in-sample: "
            "every page will then say so"
        )
        raise ConfigurationError(msg)
