"""`trader verify` of lines whose bytes were changed: each is named, and called changed."""

import tempfile
from pathlib import Path

import msgspec
import pytest
from damaged_logs import NAMES, PLACES, assert_found, checked, copy_of_files
from hypothesis import given
from hypothesis import strategies as st
from log_builders import a_record, log_files, write_files

from trader.analysis.damage import DamageKind
from trader.analysis.verify import verify


@given(place=st.sampled_from(PLACES), position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_verify_one_byte_changed_anywhere_names_its_line(place: tuple[str, int], position: float, flip: int):
    """Any byte, also one of a key, of `x`, of a hash or a newline, whatever it becomes."""
    files = copy_of_files()
    name, index = place
    line = bytearray(files[name][index])
    line[int(position * len(line))] ^= flip
    files[name][index] = bytes(line)
    assert_found(files)


@given(place=st.sampled_from(PLACES), position=st.floats(0, 1), byte=st.integers(0, 255))
def test_verify_one_byte_inserted_anywhere_names_its_line(place: tuple[str, int], position: float, byte: int):
    """Whitespace that JSON would not mind is damage too."""
    files = copy_of_files()
    name, index = place
    line = files[name][index]
    cut = int(position * len(line))
    files[name][index] = line[:cut] + bytes([byte]) + line[cut:]
    assert_found(files)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"c":', b'{ "c":'),
        (b'{"c":', b'{"c": '),
        (b'{"c":', b'{"\\u0063":'),
        (b',"x":', b' ,"x":'),
        (b'"x":{', b'"x": {'),
        (b'},"hash":"', b'}, "hash":"'),
        (b'},"hash":"', b'},"hash":"00","hash":"'),
        (b'"}\n', b'" }\n'),
        (b'"}\n', b'"} \n'),
        (b'"}\n', b'"}\r\n'),
    ],
)
def test_verify_line_laid_out_otherwise_is_changed(old: bytes, new: bytes):
    """The same JSON in other bytes: its values prove themselves, the file was written by somebody else."""
    files = copy_of_files()
    line = files[NAMES[1]][3]
    assert line.count(old) == 1
    files[NAMES[1]][3] = line.replace(old, new)
    assert_found(files, DamageKind.CHANGED)


@pytest.mark.parametrize(("old", "new", "said"), [(b'"BUY"', b'"BUT"', "content"), (b'"hash":"', b'"hash":"0', "")])
def test_verify_changed_line_is_called_changed(old: bytes, new: bytes, said: str):
    """A word in a record, and a hash that grew."""
    rl = msgspec.structs.replace(a_record().rl, action="BUY")
    files, sealer = log_files([("2023-01-10", [a_record(0), a_record(1, rl=rl), a_record(2)])])
    lines = next(iter(files.values()))
    lines[2] = lines[2].replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        damage = verify(write_files(Path(folder), files, sealer)).damage
    assert damage is not None
    assert (damage.kind, damage.line) == (DamageKind.CHANGED, 3)
    assert said in damage.what


def test_verify_hash_alone_changed_says_that_the_content_stands():
    """The next line still follows from the content."""
    files = copy_of_files()
    line = files[NAMES[0]][1]
    digit = line[-4:-3]
    files[NAMES[0]][1] = line[:-4] + (b"0" if digit != b"0" else b"1") + line[-3:]
    _, damage = checked(files)
    assert damage is not None
    assert damage.what == "its hash was changed, its content was not"
