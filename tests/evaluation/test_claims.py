"""What may be claimed: engineering run, in-sample or out-of-sample evidence, each with its reason."""

import pytest
from bundle_builders import a_bundle, load
from msgspec.structs import replace

from trader.analysis.evaluation import Claim
from trader.analysis.evaluation_parts import SplitFacts
from trader.analysis.splits import Relation, Sample
from trader.domain.sessions import Calendar
from trader.errors import ConfigurationError
from trader.evaluation.claims import bundle_facts, claim_of, require_unseen, split_of
from trader.policy.manifest import Label, Span

NEWER = SplitFacts(relation="newer", sentence="Newer.")
UNRELATED = SplitFacts(relation="unrelated", sentence="Nothing was trained.")
YEAR_2020 = Span(description="bars", sha256="a" * 64, first_session="2020-01-02", last_session="2020-12-31")


def evaluated(first: str, last: str, **changes: object) -> Sample:
    sample = Sample(market="NQ", first_session=first, last_session=last, sha256="b" * 64, is_synthetic=False)
    return replace(sample, **changes)


@pytest.fixture
def trained(tmp_path):
    """A bundle that says it was trained on 2020, by label."""

    def made(label: Label):
        bundle = load(a_bundle(tmp_path / label.value))
        provenance = replace(bundle.manifest.provenance, label=label, training=YEAR_2020)
        return replace(bundle, manifest=replace(bundle.manifest, market="NQ", provenance=provenance))

    return made


@pytest.mark.parametrize(
    ("labels", "split", "has_bundle", "is_shipped", "enough", "claim", "reason"),
    [
        ((), NEWER, True, True, True, Claim.OUT_OF_SAMPLE, "no bar of these dates"),
        ((), UNRELATED, False, True, True, Claim.OUT_OF_SAMPLE, "nothing was fitted"),
        ((), UNRELATED, False, False, True, Claim.ENGINEERING_RUN, "is not known"),
        ((), NEWER, True, True, False, Claim.ENGINEERING_RUN, "too few sessions"),
        (("mismatch",), NEWER, True, True, True, Claim.ENGINEERING_RUN, "made for other bars"),
        (("synthetic_bars",), NEWER, True, True, True, Claim.ENGINEERING_RUN, "made by a program"),
        (("untrained",), UNRELATED, True, True, True, Claim.ENGINEERING_RUN, "random numbers"),
        (("synthetic_training",), UNRELATED, True, True, True, Claim.OUT_OF_SAMPLE, "no bar of these dates"),
        ((), replace(NEWER, relation="in_sample"), True, True, True, Claim.IN_SAMPLE, "has seen"),
        ((), replace(NEWER, relation="overlaps"), True, True, False, Claim.IN_SAMPLE, "has seen"),
        (("mismatch",), replace(NEWER, relation="overlaps"), True, True, True, Claim.IN_SAMPLE, "has seen"),
        (("in_sample",), NEWER, True, True, True, Claim.IN_SAMPLE, "has seen"),
    ],
)
def test_the_claim_follows_from_bars_training_and_length(
    labels, split, has_bundle, is_shipped, enough, claim, reason, trained
):
    """The weakest thing that is true is claimed, and its reason says which."""
    bundle = bundle_facts(trained(Label.IN_SAMPLE)) if has_bundle else None

    found, why = claim_of(labels, split, bundle, is_shipped=is_shipped, enough=enough)

    assert found is claim
    assert reason in why


@pytest.mark.parametrize(
    ("label", "sample", "relation"),
    [
        (Label.IN_SAMPLE, evaluated("2020-06-01", "2020-07-01"), Relation.IN_SAMPLE),
        (Label.IN_SAMPLE, evaluated("2020-06-01", "2020-07-01", market="MNQ"), Relation.IN_SAMPLE),
        (Label.IN_SAMPLE, evaluated("2020-12-01", "2021-01-29"), Relation.OVERLAPS),
        (Label.IN_SAMPLE, evaluated("2021-03-01", "2021-04-01"), Relation.NEWER),
        (Label.IN_SAMPLE, evaluated("2019-03-01", "2019-04-01"), Relation.OLDER),
        (Label.IN_SAMPLE, evaluated("2020-06-01", "2020-07-01", market="ES"), Relation.UNRELATED),
        (Label.SYNTHETIC, evaluated("2020-06-01", "2020-07-01"), Relation.UNRELATED),
        (Label.RANDOM, evaluated("2020-06-01", "2020-07-01"), Relation.UNRELATED),
    ],
)
def test_the_split_is_judged_by_instrument_and_dates(label, sample, relation, trained):
    """Weights that are random have seen nothing, whatever dates stand in their manifest."""
    assert split_of(trained(label), sample, Calendar.load()).relation == relation


def test_a_strategy_without_a_model_has_seen_nothing():
    """There is no training to compare with."""
    split = split_of(None, evaluated("2020-06-01", "2020-07-01"), Calendar.load())

    assert split.relation == Relation.UNRELATED


@pytest.mark.parametrize("relation", list(Relation))
def test_seen_dates_need_the_users_word(relation):
    """Refused with the sentence and the remedy, let through with --in-sample; others pass."""
    split = SplitFacts(relation=relation.value, sentence="Trained on NQ of 2020.")
    require_unseen(split, allows=True)
    if relation.is_seen:
        with pytest.raises(ConfigurationError, match=r"Trained on NQ of 2020\. Choose other dates .* --in-sample"):
            require_unseen(split, allows=False)
    else:
        require_unseen(split, allows=False)
