"""Text of others made harmless before a model reads it, and a look for what a configured text may not hold. Pure."""

import re
import unicodedata
from functools import lru_cache

MAX_TEXT_CHARS = 200

# Every special token of a chat is spelled with these, and so is the fence around quoted text.
_PLAIN = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "{": "(", "}": ")", "|": "/", "\\": "/", "`": "'"})
_SPECIAL = re.compile(
    r"<\|[^<>\n]{0,60}\|>|</?s>|<(?:unk|pad|bos|eos|mask)>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)


@lru_cache(maxsize=4_096)
def harmless(text: str) -> str:
    """`text` as one line of at most MAX_TEXT_CHARS characters that no tokenizer takes for a special token.

    NFKC, unprintable characters and runs of blanks as one space, angle, square and curly brackets as round ones, bars
    and backslashes as slashes, backticks as apostrophes. What is cut ends in three dots.
    """
    normal = unicodedata.normalize("NFKC", text[: 4 * MAX_TEXT_CHARS]).translate(_PLAIN)
    line = " ".join("".join(character if character.isprintable() else " " for character in normal).split())
    return (
        line if len(line) <= MAX_TEXT_CHARS and len(text) <= 4 * MAX_TEXT_CHARS else f"{line[: MAX_TEXT_CHARS - 3]}..."
    )


def special_token_in(text: str) -> str | None:
    """The first text of a chat's special token, such as <|end|>, in a text that people have configured."""
    found = _SPECIAL.search(unicodedata.normalize("NFKC", text))
    return found[0] if found else None
