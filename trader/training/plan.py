"""What a training is told: `config/train.yaml`, every key checked. The values stand there, none of them here.

May import pydantic and the settings' YAML reader.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from trader.errors import ConfigurationError, UsageError
from trader.settings.layers import SHIPPED_DIR
from trader.settings.yaml_tree import MAX_CHARS, parse_tree, parse_value

FILE_NAME = "train.yaml"

Share = Annotated[float, Field(ge=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]
Steps = Annotated[int, Field(ge=1, le=10_000_000_000)]
Units = Annotated[int, Field(ge=1, le=4_096)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RunPlan(_Section):
    """Seeds, places and what a cut-off training may lose."""

    seeds: Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1)]], Field(min_length=1, max_length=64)]
    dir: Annotated[str, Field(min_length=1)]
    processes: Annotated[int, Field(ge=1, le=64)]
    torch_threads: Annotated[int, Field(ge=1, le=256)]
    snapshot_every_updates: Annotated[int, Field(ge=1, le=1_000_000)]

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            msg = f"seeds {self.seeds} name one twice"
            raise ValueError(msg)
        return self


class NetworkPlan(_Section):
    """Units a layer, of the actor and of the critic."""

    hidden: Annotated[list[Units], Field(min_length=1, max_length=8)]


class PpoPlan(_Section):
    """The hyper-parameters, in the words of the PPO paper (Schulman et al. 2017) and of stable-baselines3."""

    envs: Annotated[int, Field(ge=1, le=65_536)]
    rollout_steps: Annotated[int, Field(ge=2, le=65_536)]
    batch_size: Annotated[int, Field(ge=2, le=1_048_576)]
    epochs: Annotated[int, Field(ge=1, le=1_000)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    gamma: Share
    gae_lambda: Share
    clip_range: Annotated[float, Field(gt=0, le=1)]
    entropy_start: Annotated[float, Field(ge=0, le=10)]
    entropy_end: Annotated[float, Field(ge=0, le=10)]
    target_kl: AboveZero | None
    value_coef: Annotated[float, Field(ge=0, le=100)]
    max_grad_norm: AboveZero

    @property
    def rollout(self) -> int:
        """Steps of all accounts between two updates."""
        return self.envs * self.rollout_steps

    @model_validator(mode="after")
    def _batches_fill_a_rollout(self) -> Self:
        if self.rollout % self.batch_size:
            msg = f"envs x rollout_steps = {self.rollout} is no multiple of batch_size {self.batch_size}"
            raise ValueError(msg)
        return self


class NormaliserPlan(_Section):
    """How the frozen normaliser is taken."""

    steps: Annotated[int, Field(ge=1, le=1_000_000)]
    clip: AboveZero
    variance_floor: AboveZero
    epsilon: Annotated[float, Field(ge=0, le=1)]


class CurriculumPlan(_Section):
    """How long each phase lasts, and how one begins from the phase before."""

    phase_1_steps: Steps
    phase_2_steps: Steps
    phase_3_steps: Steps
    quick_steps: Steps
    use_llm_features: bool
    new_action_probability: Annotated[float, Field(gt=0, lt=1)]
    new_action_observations: Annotated[int, Field(ge=1, le=10_000_000)]
    critic_updates: Annotated[int, Field(ge=0, le=1_000_000)]


class EvaluationPlan(_Section):
    """When a policy is judged on the validation dates."""

    every_steps: Steps
    engine_sessions: Annotated[int, Field(ge=0, le=10_000)]


class RewardsPlan(_Section):
    """The weights of the reward's terms besides the result itself, in R."""

    breach: Annotated[float, Field(ge=0, le=100)]


class WatchPlan(_Section):
    """What counts as a collapsed policy."""

    collapse_share: Annotated[float, Field(gt=0.5, le=1)]
    collapse_updates: Annotated[int, Field(ge=1, le=1_000_000)]


class Plan(_Section):
    """The whole of `train.yaml`."""

    run: RunPlan
    network: NetworkPlan
    ppo: PpoPlan
    normaliser: NormaliserPlan
    curriculum: CurriculumPlan
    evaluation: EvaluationPlan
    rewards: RewardsPlan
    watch: WatchPlan

    def steps(self, phase: int, *, quick: bool) -> int:
        """Choices that `phase` (1, 2 or 3) trains on; whole rollouts are played, so a few more."""
        plan = self.curriculum
        return plan.quick_steps if quick else (plan.phase_1_steps, plan.phase_2_steps, plan.phase_3_steps)[phase - 1]


class _Layer(Struct, frozen=True):
    """Values, and where each key was set."""

    tree: dict[str, object]
    places: Mapping[str, str]


def load_plan(config_file: Path | None = None, overrides: Sequence[str] = ()) -> Plan:
    """The shipped train.yaml, over it `config_file`, over both `overrides` (section.key=value).

    ConfigurationError lists every unknown or invalid key with its place; UsageError for an override without `=`.
    """
    files = [SHIPPED_DIR / FILE_NAME] + ([config_file] if config_file else [])
    layers = [*map(_file_layer, files), *map(_override_layer, overrides)]
    merged: dict[str, object] = {}
    for layer in layers:
        _lay_over(merged, layer.tree)
    return plan_of(merged, {key: place for layer in layers for key, place in layer.places.items()})


def plan_of(tree: Mapping[str, object], places: Mapping[str, str]) -> Plan:
    """The plan that `tree` says; ConfigurationError names the place of each wrong key."""
    try:
        return Plan.model_validate(tree)
    except ValidationError as error:
        lines = [_problem(details, places) for details in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(dict.fromkeys(lines))) from error


def is_plan_key(key: str) -> bool:
    """Whether a dotted key is one of train.yaml's, by its section."""
    return key.partition(".")[0] in Plan.model_fields


def plan_bytes(plan: Plan) -> bytes:
    """The plan as JSON; equal plans give equal bytes."""
    return msgspec.json.encode(plan.model_dump(mode="json"), order="sorted")


def _file_layer(path: Path) -> _Layer:
    try:
        text = path.read_text("utf-8")[: MAX_CHARS + 1]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise ConfigurationError(msg) from error
    tree = parse_tree(text, str(path))
    return _Layer(tree.root, {key: f"{path}:{line}" for key, line in tree.lines.items()})


def _override_layer(text: str) -> _Layer:
    key, equals, value = text.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot or not name:
        msg = f"--set {text}: expected section.key=value, such as --set ppo.batch_size=4096"
        raise UsageError(msg)
    return _Layer({section: {name: parse_value(value, f"--set {key}")}}, {f"{section}.{name}": "--set"})


def _lay_over(below: dict[str, object], above: Mapping[str, object]) -> None:
    for name, value in above.items():
        beneath = below.get(name)
        if isinstance(beneath, dict) and isinstance(value, dict):
            below[name] = {**beneath, **value}
        elif value is not None or name not in below:
            below[name] = value


def _problem(details: ErrorDetails, places: Mapping[str, str]) -> str:
    key = ".".join(str(part) for part in details["loc"])
    place = next((places[known] for known in _shorter(key) if known in places), "configuration")
    if details["type"] == "extra_forbidden":
        near = get_close_matches(key, _keys(), 1)
        return f"{place}: unknown key {key}" + (f"; did you mean {near[0]}?" if near else "")
    shown = "" if isinstance(details["input"], dict) else f" = {details['input']!r}"
    demand = details["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{place}: {key}{shown}: {demand}"


def _shorter(key: str) -> Iterator[str]:
    while key:
        yield key
        key = key.rpartition(".")[0]


def _keys() -> list[str]:
    sections = Plan.model_fields.items()
    return [
        f"{section}.{key}"
        for section, field in sections
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    ]
