"""A recording keeps a model's answers to the last bit, and takes nobody else's."""

import math

import msgspec
import pytest
from msgspec.structs import replace
from recording_builders import HEAD

from trader.adapters.recording_file import Key, RecordingFile, is_recording, read_recording
from trader.advisor.question import Scores
from trader.errors import InputError

FLAT = Key("a" * 64, 0b000111)
LONG = Key("b" * 64, 0b001001)


def scores(*probabilities: float | None, legal_mass: float = 0.9) -> Scores:
    return Scores(tuple(None if p is None else math.log(p) for p in probabilities), legal_mass)


THIRDS = scores(1 / 3, 1 / 3, 1 / 3, None, None, None)
MOVES = scores(0.1, None, None, 0.9, None, None, legal_mass=0.123456789012345678)


def test_recording_gives_back_what_was_added_to_the_last_bit(tmp_path):
    """Scores and texts alike, by another process later."""
    path = tmp_path / "deep" / "phi3.jsonl"
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS, LONG: MOVES})
        file.append({Key("c" * 64, 1): "HOLD | 0.50 | nothing\nto do é"})
        assert len(file.answers) == 3
    read = read_recording(path)
    assert read.head == HEAD
    assert read.answers == {FLAT: THIRDS, LONG: MOVES, Key("c" * 64, 1): "HOLD | 0.50 | nothing\nto do é"}
    assert read.notes == ()


def test_recording_goes_on_where_it_ended_and_writes_nothing_twice(tmp_path):
    """A later call adds what is new."""
    path = tmp_path / "phi3.jsonl"
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS})
    with RecordingFile(path, HEAD) as file:
        assert file.answers == {FLAT: THIRDS}
        file.append({FLAT: THIRDS, LONG: MOVES})
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("kept_of_last", [0, 1, 40])
def test_recording_that_was_cut_loses_its_last_line_and_says_so(tmp_path, kept_of_last):
    """The half line is left out when read, and gone once something is added."""
    path = tmp_path / "phi3.jsonl"
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS})
        whole = len(path.read_bytes())
        file.append({LONG: MOVES})
    path.write_bytes(path.read_bytes()[: whole + kept_of_last])
    read = read_recording(path)
    assert read.answers == {FLAT: THIRDS}
    assert len(read.notes) == (kept_of_last > 0)
    with RecordingFile(path, HEAD) as file:
        assert file.notes == read.notes
        file.append({LONG: MOVES})
    assert read_recording(path) == msgspec.structs.replace(read, answers={FLAT: THIRDS, LONG: MOVES}, notes=())


@pytest.mark.parametrize("kept", [0, 5, 60])
def test_recording_cut_in_its_first_line_begins_anew(tmp_path, kept):
    """Nothing had been recorded yet."""
    path = tmp_path / "phi3.jsonl"
    RecordingFile(path, HEAD).close()
    path.write_bytes(path.read_bytes()[:kept])
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS})
    assert read_recording(path).answers == {FLAT: THIRDS}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "openai"),
        ("identity", "other"),
        ("answered_by", "other"),
        ("model", "large"),
        ("revision", None),
        ("quantization", "none"),
        ("mode", "generate"),
        ("prompt", "prompts-2"),
        ("anonymised", True),
        ("batched", False),
        ("knowledge_until", None),
    ],
)
def test_recording_takes_no_answers_of_another_kind(tmp_path, field, value):
    """File, field and remedy are named, and the file stays as it is."""
    path = tmp_path / "phi3.jsonl"
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS})
    before = path.read_bytes()
    with pytest.raises(InputError, match=rf"phi3.jsonl.* {field} .*--out"):
        RecordingFile(path, replace(HEAD, **{field: value}))
    assert path.read_bytes() == before


def test_recording_is_added_to_by_one_command_at_a_time(tmp_path):
    """A second one is refused, and may go on once the first has ended."""
    path = tmp_path / "phi3.jsonl"
    with RecordingFile(path, HEAD), pytest.raises(InputError, match="another command"):
        RecordingFile(path, HEAD)
    RecordingFile(path, HEAD).close()


def test_recording_refuses_a_second_answer_to_a_prompt_and_keeps_the_batch_out(tmp_path):
    """Of a batch that contradicts, nothing is added."""
    path = tmp_path / "phi3.jsonl"
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS})
        with pytest.raises(InputError, match="two ways"):
            file.append({LONG: MOVES, FLAT: replace(THIRDS, legal_mass=0.8)})
        assert file.answers == {FLAT: THIRDS}
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines, lines[1].replace(b"0.9", b"0.8"), b""]))
    with pytest.raises(InputError, match=r"line 3.*two ways"):
        read_recording(path)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"not JSON",
        b'{"prompt":"aa","mask":1}',
        b'{"prompt":"aa","mask":1,"text":"HOLD","legal_mass":1,"log_probs":[0,null,null,null,null,null]}',
        b'{"prompt":"aa","mask":1,"legal_mass":1,"log_probs":[0,null,null]}',
        b'{"prompt":"aa","mask":3,"legal_mass":1,"log_probs":[0,null,null,null,null,null]}',
        b'{"prompt":"aa","mask":1,"legal_mass":1,"log_probs":[-1,null,null,null,null,null]}',
        b'{"prompt":"aa","mask":1,"legal_mass":1,"log_probs":[1e300,null,null,null,null,null]}',
        b'{"prompt":"aa","mask":1,"legal_mass":1.5,"log_probs":[0,null,null,null,null,null]}',
        b'{"prompt":"aa","mask":1,"text":"HOLD","more":1}',
        b"\xff\xfe",
    ],
)
def test_recording_with_a_line_that_is_no_answer_names_it(tmp_path, line):
    """File, line and remedy; the lines around it are not used in silence."""
    path = tmp_path / "phi3.jsonl"
    with RecordingFile(path, HEAD) as file:
        file.append({FLAT: THIRDS})
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match=r"phi3.jsonl, line 3 .*remove the line"):
        read_recording(path)


def test_recording_takes_no_scores_that_are_no_distribution(tmp_path):
    """What would be refused when read is not written."""
    with RecordingFile(tmp_path / "phi3.jsonl", HEAD) as file:
        with pytest.raises(InputError, match=r"sum to 1.33"):
            file.append({FLAT: scores(1 / 3, 1 / 3, 2 / 3, None, None, None)})
        with pytest.raises(InputError, match="legal mass of nan"):
            file.append({FLAT: replace(THIRDS, legal_mass=math.nan)})
        assert file.answers == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"lines": 3}\n', "is no recording"),
        (b'{"recording":1}\n', "line 1"),
        (b'{"recording":2,"backend":"phi3"', "line 1"),
    ],
)
def test_recording_that_is_none_is_refused(tmp_path, content, words):
    """A file of another kind is left as it is."""
    path = tmp_path / "other.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_recording(path)


def test_recording_does_not_grow_over_a_file_of_another_kind(tmp_path):
    """Neither over whole lines nor over half of one."""
    path = tmp_path / "notes.txt"
    for content in (b"my notes", b"my notes\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no recording"):
            RecordingFile(path, HEAD)
        assert path.read_bytes() == content


def test_recording_of_another_version_is_refused(tmp_path):
    """Its lines may mean something else."""
    path = tmp_path / "phi3.jsonl"
    path.write_bytes(msgspec.json.encode(replace(HEAD, recording=2)) + b"\n")
    with pytest.raises(InputError, match="version 2"):
        read_recording(path)


def test_recording_is_told_from_everything_else_by_its_first_line(tmp_path):
    """A folder (a decision log), a missing file and a file of another kind are none."""
    path = tmp_path / "phi3.jsonl"
    RecordingFile(path, HEAD).close()
    (tmp_path / "other.jsonl").write_bytes(b'{"v":1}\n')
    assert is_recording(path)
    assert not any(is_recording(tmp_path / name) for name in ("", "other.jsonl", "missing"))
