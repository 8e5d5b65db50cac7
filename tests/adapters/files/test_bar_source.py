"""What is no text of bars is refused by its name, and what is read is hashed and counted by line."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from bar_files import firstrate, opened, sessions, written

from trader.adapters.files.source import BLOCK_BYTES, BarText
from trader.errors import InputError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (POINTER.encode(), "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "is a web page"),
        (b"\n  <html>\n", "is a web page"),
        (b"PK\x03\x04abc", "is a zip archive"),
        (b"PAR1abc", "is a Parquet file"),
        (b"\x28\xb5\x2f\xfdabc", "is packed with zstd"),
        ("timestamp,open\n".encode("utf-16"), "is UTF-16 text"),
        (b"timestamp,open\n1,\x00\x01\n", "is binary"),
        (bytes(range(256)) * 4, "is binary"),
        (b"timestamp,open\r2023,1\r", "ends its lines by CR alone"),
        (b"timestamp,open,high,low,close\n" + b"1" * 200_000, "has no line end within 32768 bytes from line 2 on"),
        (gzip.compress(POINTER.encode()), "is a Git LFS pointer"),
        (gzip.compress(firstrate(sessions()).encode())[:-20], "is a damaged gzip file"),
        (b"\x1f\x8b and then nothing of the kind", "is a damaged gzip file"),
    ],
)
def test_open_what_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    """The message says what the file is and what to do, and names it."""
    path = tmp_path / "bars.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        opened(path)
    assert str(refused.value).startswith(f"{path} ")
    assert said in str(refused.value)
    assert refused.value.exit_code == 66


def test_open_missing_file_or_folder_is_refused_by_name(tmp_path: Path) -> None:
    """A path that leads nowhere, and one that leads to a folder."""
    with pytest.raises(InputError, match="none does not exist; check the path"):
        opened(tmp_path / "none")
    with pytest.raises(InputError, match="is a folder without files such as NAME-YYYYMMDD"):
        opened(tmp_path)


@pytest.mark.parametrize("is_gzip", [False, True])
def test_blocks_cover_every_byte_and_count_the_lines(tmp_path: Path, is_gzip: bool) -> None:
    """Blocks of whole lines, together the text; the hash is of the file as it lies there."""
    text = b"".join(b"%d,some text of a line\n" % i for i in range(200_000)) + b"the last, without an end"
    path = tmp_path / "bars.csv"
    path.write_bytes(gzip.compress(text) if is_gzip else text)
    source = BarText(path)
    blocks = list(source.blocks())
    assert len(blocks) > len(text) // BLOCK_BYTES
    assert b"".join(block.buf.tobytes() for block in blocks) == text + b"\n"
    starts = [1]
    for block in blocks[:-1]:
        assert block.buf[-1] == ord("\n")
        starts.append(starts[-1] + int(np.count_nonzero(block.buf == ord("\n"))))
    assert [block.first_line for block in blocks] == starts
    assert [block.is_cut for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_read_file_that_changed_after_it_was_opened_is_refused(tmp_path: Path) -> None:
    """What was proved of one content does not hold for another."""
    lines = sessions()
    path = written(tmp_path / "bars.csv", firstrate(lines))
    source = opened(path)
    written(path, firstrate([*lines[:-1], lines[-1]._replace(volume=lines[-1].volume + 1)]))
    with pytest.raises(InputError, match="changed while it was read"):
        list(source.columns())
