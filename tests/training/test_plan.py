"""train.yaml: every key is checked, and an error says where."""

import pytest

from trader.errors import ConfigurationError, UsageError
from trader.settings.schema import Settings
from trader.training.plan import Plan, is_plan_key, load_plan


def test_plan_shipped_is_valid_and_has_the_documented_defaults():
    """What the specification names stands in the file."""
    plan = load_plan()
    ppo = plan.ppo
    assert (ppo.envs, ppo.learning_rate, ppo.gamma, ppo.gae_lambda, ppo.clip_range) == (256, 3e-4, 0.99, 0.95, 0.2)
    assert ppo.entropy_end < ppo.entropy_start
    assert ppo.batch_size >= 1024
    assert plan.network.hidden == [256, 128]
    assert [plan.steps(phase, quick=False) for phase in (1, 2, 3)] == [1_000_000, 1_000_000, 5_000_000]
    assert [plan.steps(phase, quick=True) for phase in (1, 2, 3)] == [50_000] * 3
    assert plan.watch.collapse_share == 0.98


def test_plan_of_a_file_lies_over_the_shipped_one_and_overrides_over_both(tmp_path):
    """A file states what differs and nothing else."""
    own = tmp_path / "own.yaml"
    own.write_text("ppo:\n  epochs: 7\n  target_kl: null\n  batch_size: 1024\n")
    plan = load_plan(own, ["ppo.batch_size=4096"])
    assert (plan.ppo.epochs, plan.ppo.target_kl, plan.ppo.batch_size) == (7, None, 4096)
    assert plan.ppo.envs == load_plan().ppo.envs


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ppo:\n  gamma: 1.5\n", r"own\.yaml:2: ppo\.gamma = 1\.5: must be less than or equal to 1"),
        ("ppo:\n  epochs: lots\n", r"own\.yaml:2: ppo\.epochs = 'lots': must be a valid integer"),
        ("ppo:\n  epoch: 3\n", r"own\.yaml:2: unknown key ppo\.epoch; did you mean ppo\.epochs\?"),
        ("pppo:\n  epochs: 3\n", r"own\.yaml:1: unknown key pppo"),
        ("run:\n  seeds: [4, 4]\n", r"run: seeds \[4, 4\] name one twice"),
        ("ppo:\n  batch_size: 1000\n", r"envs x rollout_steps = \d+ is no multiple of batch_size 1000"),
        ("ppo: [1\n", r"own\.yaml:2: not valid YAML"),
        ("ppo:\n  learning_rate: .nan\n", r"own\.yaml:2: ppo\.learning_rate"),
        ("network:\n  hidden: []\n", r"own\.yaml:2: network\.hidden"),
    ],
)
def test_plan_with_a_wrong_value_is_refused_with_file_line_key_and_demand(tmp_path, text, error):
    """Nothing is trained by a file that says what it does not mean."""
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(ConfigurationError, match=error):
        load_plan(own)


def test_plan_names_every_wrong_key_at_once(tmp_path):
    """One look at the file mends it."""
    own = tmp_path / "own.yaml"
    own.write_text("ppo:\n  gamma: 2\n  envs: 0\nrun:\n  torch_threads: 0\n")
    with pytest.raises(ConfigurationError) as caught:
        load_plan(own)
    assert [line.split(" ")[1] for line in str(caught.value).splitlines()] == [
        "run.torch_threads",
        "ppo.envs",
        "ppo.gamma",
    ]


@pytest.mark.parametrize("text", ["ppo.gamma", "gamma=1", "=3"])
def test_plan_override_without_section_or_value_is_a_usage_error(text):
    """An override says which key it means."""
    with pytest.raises(UsageError, match=r"section\.key=value"):
        load_plan(None, [text])


def test_plan_file_that_is_missing_is_named(tmp_path):
    """A path that was mistyped is not the shipped file."""
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read"):
        load_plan(tmp_path / "absent.yaml")


def test_plan_sections_are_none_of_the_traders():
    """`--set` knows by its section which file a key is of."""
    assert not Plan.model_fields.keys() & Settings.model_fields.keys()
    assert is_plan_key("ppo.gamma=1")
    assert not is_plan_key("risk.max_cost_share=0.2")
