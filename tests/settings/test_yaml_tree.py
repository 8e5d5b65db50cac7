"""Files, variables and overrides that are no configuration: always this project's own error, with the place."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_cases import refusal, shipped

from trader.domain.instruments import INSTRUMENTS
from trader.errors import ConfigurationError, TraderError
from trader.settings import (
    SHIPPED_DIR,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fusion: {llm_weight: 0.1}\nfusion: {llm_weight: 0.2}\n", ":2: fusion stands here and in line 1: keep one"),
        ("fusion: &a {llm_weight: 0.1}\nrisk: *a\n", ":1: an alias (*) is not supported"),
        ("fusion:\n\tllm_weight: 0.1\n", ":2: not valid YAML: "),
        ("journal: {dir: !!python/name:os.system ''}\n", ":1: the tag "),
        ("- fusion\n", ": must be a mapping of keys such as `fusion:`, not a list"),
        ("fusion.llm_weight: 0.1\n", ":1: write fusion.llm_weight as nested keys"),
        ('journal: {dir: "\\UFFFFFFFF"}\n', ": not valid YAML: "),
        ("[" * 50_000, ": nested too deeply"),
        ("#" * 300_000, ": 262,145 characters are no configuration"),
    ],
)
def test_file_that_is_no_configuration_names_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    """What YAML allows but a configuration does not is refused at its line."""
    own = tmp_path / "mine.yaml"
    own.write_text(text)
    assert refusal(config_file=own).startswith(f"{own}{expected}")


def test_file_that_cannot_be_read_names_it(tmp_path: Path) -> None:
    """A missing file, a folder and a binary file are configuration errors."""
    assert refusal(config_file=tmp_path / "no.yaml") == f"{tmp_path}/no.yaml: cannot be read: No such file or directory"
    assert refusal(config_file=tmp_path).startswith(f"{tmp_path}: cannot be read: ")
    (tmp_path / "latin.yaml").write_bytes(b"market: \xfc")
    assert refusal(config_file=tmp_path / "latin.yaml") == f"{tmp_path}/latin.yaml: not UTF-8 text (byte 8)"


def test_file_with_sections_commented_out_changes_nothing(tmp_path: Path) -> None:
    """A user's file may keep a heading whose keys are all comments."""
    own = tmp_path / "mine.yaml"
    own.write_text("fusion:\n  # llm_weight: 0.1\nexecution:\n  windows:\n")
    assert shipped(config_file=own) == shipped()


YAML_CHARS = st.sampled_from(list("abz019 .:-#{}[],&*!|>'\"%@`\n\t~\\_?=éß\u2028\x00\ufeff"))


@given(data=st.data())
def test_mutated_file_gives_settings_or_a_configuration_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However a file is damaged, the answer is valid settings or this project's own error, never another exception."""
    text = list((SHIPPED_DIR / data.draw(st.sampled_from(["llm_config.yaml", "paper.yaml"]))).read_text()[:900])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text[at : at + cut] = data.draw(st.lists(YAML_CHARS, max_size=6))
    own = tmp_path_factory.mktemp("mutated") / "own.yaml"
    own.write_text("".join(text))
    with suppress(ConfigurationError):
        assert 0 <= shipped(config_file=own).fusion.llm_weight <= 1


@given(key=st.text(max_size=30), value=st.text(max_size=20))
def test_arbitrary_override_and_variable_give_settings_or_a_trader_error(key: str, value: str) -> None:
    """The command line and the environment are as safe as the files."""
    layers = (
        {"overrides": [f"{key}={value}"]},
        {"environ": {f"TRADER_{key}": value}},
        {"overrides": [f"market={value}"]},
    )
    for layer in layers:
        with suppress(TraderError):
            assert shipped(**layer).market in INSTRUMENTS
