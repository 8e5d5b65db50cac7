"""The constrained reply `ACTION | d.dd | up to ten words`, as an automaton over characters. Pure; knows no tokenizer.

Whoever holds a tokenizer walks the text of each token from the state that the reply is in: where `advance` gives a
state, the token may come next; the end of the reply may come where `is_complete`. The order of events:

    grammar = ReplyGrammar(mask)
    state = grammar.start
    state = grammar.advance(state, token_text)      None: this token would leave the format
    grammar.is_complete(state)                      the end may come here
    grammar.following(state)                        the characters that may come next; empty: the end must come

A reply may begin with one space, as the first word of a tokenizer does. The action is a valid one by its exact label,
the confidence 0.00 to 1.00 in two decimals, the reason one to ten words of printable ASCII but `|`, `<` and `>`: no
text of a chat's special tokens fits. All texts that lead to a complete state parse (trader/advisor/parse.py), and
every state leads to a complete one, so that a reply ends within MAX_REPLY_CHARS whatever a model does.
"""

from typing import NewType

from trader.domain.actions import actions_in
from trader.errors import InvariantError

State = NewType("State", int)
"""One of some three hundred places in the format; means something to the grammar that gave it only."""

REASON_WORDS = 10
WORD_CHARS = 20
MAX_REPLY_CHARS = 1 + len("DISABLE_TRAIL") + len(" | 0.00 | ") + REASON_WORDS * (WORD_CHARS + 1)
WORD_ALPHABET = frozenset(map(chr, range(0x21, 0x7F))) - frozenset("|<>")

_DIGITS = "0123456789"


class ReplyGrammar:
    """The format for the actions of `mask` (bit i for Action(i), at least one; InvariantError otherwise)."""

    def __init__(self, mask: int) -> None:
        labels = [action.name for action in actions_in(mask)]
        if not labels:
            msg = f"a mask of {mask:#b} has no action that a reply could name"
            raise InvariantError(msg)
        self._edges: list[dict[str, State]] = []
        self._reason = self._add_reason()
        root = self._add_labels(labels, self._add_number())
        self.start = self._add({" ": root} | self._edges[root])

    def advance(self, state: State, text: str) -> State | None:
        """The state after `text`, which may be any piece of a reply, empty too; None where it leaves the format."""
        edges = self._edges
        for character in text:
            following = edges[state].get(character)
            if following is None:
                return None
            state = following
        return state

    def is_complete(self, state: State) -> bool:
        """Whether the text that led here is a whole reply: the reason has begun. A space may end it; parsing strips."""
        return state < self._reason

    def following(self, state: State) -> frozenset[str]:
        """The characters that may come next."""
        return frozenset(self._edges[state])

    def _add(self, edges: dict[str, State]) -> State:
        self._edges.append(edges)
        return State(len(self._edges) - 1)

    def _add_reason(self) -> State:
        """The reason's states from its end to its beginning; gives the state before its first character.

        All but that one are complete, and come first.
        """
        begin = self._add({})
        for words_left in range(REASON_WORDS):
            between: dict[str, State] = {} if words_left == 0 else {" ": begin}
            inside = self._add(dict(between))
            for _ in range(WORD_CHARS - 1):
                inside = self._add(dict.fromkeys(WORD_ALPHABET, inside) | between)
            begin = self._add(dict.fromkeys(WORD_ALPHABET, inside))
        return begin

    def _add_number(self) -> State:
        """The states of ` | d.dd | `; gives the state before its first space."""
        after = self._add_text(" | ", self._reason)
        below_one = self._add_text(".", self._add_any(_DIGITS, self._add_any(_DIGITS, after)))
        one = self._add_text(".00", after)
        return self._add_text(" | ", self._add({"0": below_one, "1": one}))

    def _add_any(self, characters: str, after: State) -> State:
        return self._add(dict.fromkeys(characters, after))

    def _add_text(self, text: str, after: State) -> State:
        """A chain of states that spells `text` and leads to `after`."""
        for character in reversed(text):
            after = self._add({character: after})
        return after

    def _add_labels(self, labels: list[str], after: State) -> State:
        """A tree of the labels, each leading to `after`."""
        root = self._add({})
        for label in labels:
            at = root
            for character in label[:-1]:
                edges = self._edges[at]
                if character not in edges:
                    edges[character] = self._add({})
                at = edges[character]
            self._edges[at][label[-1]] = after
        return root
