"""What is to be evaluated, settled before anything runs."""

from msgspec import Struct

from trader.analysis.evaluation_parts import SplitFacts
from trader.analysis.splits import FoldPlan
from trader.evaluation.runs import Market
from trader.evaluation.walk_forward import Walked
from trader.settings import Settings


class Asked(Struct, frozen=True, kw_only=True):
    """`settings` are those of the headline, `rivals` those of the other models of a walk-forward by `folds`.

    `trained` is a walk-forward that is done already: in its folds models were trained. `split` says how the bars lie
    to the training's. `made_utc` is when, for the trials file alone; `command` how to do it again.
    """

    market: Market
    settings: Settings
    split: SplitFacts
    seeds: int
    skipped_bars: int
    command: str
    made_utc: str
    rivals: tuple[Settings, ...] = ()
    folds: FoldPlan | None = None
    trained: Walked | None = None
