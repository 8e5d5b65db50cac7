"""The back end `openai` against servers of every dialect: which way it finds, and what it makes of the answers."""

import math
import re

import pytest
from builders import a_question
from openai_fakes import Dialect, a_backend
from running_server import Running

from trader.adapters.openai.guides import Guide, line_of
from trader.advisor.grammar import ReplyGrammar
from trader.advisor.question import Answer
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError

TOP = ((" BUY", 0.5), ("SELL", 0.2), ("H", 0.1), ("The", 0.1))


def ask(dialect: Dialect, **changes: object) -> tuple[str, Answer]:
    """Identity and answer of a back end that has been started with this server."""
    with Running(dialect.application()) as server:
        backend = a_backend(server, **changes)
        backend.start()
        answer = backend.ask(a_question())
        backend.close()
    return backend.identity, answer


def test_logprobs_give_scores_of_the_valid_actions_and_what_is_left_to_them():
    """Normalised over HOLD, BUY and SELL; 0.8 of the probability was theirs."""
    identity, answer = ask(Dialect(tops=(TOP,)))

    assert identity == "openai:phi-3-mini:logprobs:score:prompt-1"
    assert (answer.status, answer.advice, answer.visible_from_bar) == (AdviceStatus.USED, None, 100)
    assert answer.scores is not None
    assert answer.scores.log_probs[:3] == pytest.approx([math.log(p / 0.8) for p in (0.1, 0.5, 0.2)])
    assert answer.scores.log_probs[3:] == (None, None, None)
    assert answer.scores.legal_mass == pytest.approx(0.8)


def test_trace_holds_the_exchange():
    """What was said to whom, for the advisor log."""
    _, answer = ask(Dialect(tops=(TOP,), says="BUY"))

    assert answer.trace is not None
    assert answer.trace.backend == "openai"
    assert answer.trace.messages == (("system", "You trade."), ("user", "Bar 100. Your action?"))
    assert answer.trace.reply == "BUY"
    assert answer.trace.latency_ms is not None


def test_logprobs_request_reads_one_token_and_guides_nothing():
    """A guide would leave all probability to the labels, and legal mass would say nothing."""
    dialect = Dialect(tops=(TOP,))
    ask(dialect)

    assert dialect.requests[-1] == {
        "model": "phi-3-mini",
        "messages": [{"role": "system", "content": "You trade."}, {"role": "user", "content": "Bar 100. Your action?"}],
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
    }


def test_replies_that_begin_with_a_blank_token_are_read_behind_it():
    """The label comes at the second position; its probability is that of the path to it."""
    blank = (("\n", 0.9), ("The", 0.1))
    dialect = Dialect(tops=(blank, TOP))

    _, answer = ask(dialect)

    assert dialect.requests[-1]["max_tokens"] == 3
    assert answer.scores is not None
    assert answer.scores.legal_mass == pytest.approx(0.9 * 0.8)


@pytest.mark.parametrize("guide", ["structured_outputs", "guided", "grammar", "json_schema"])
def test_guide_that_the_server_knows_is_found(guide):
    """vLLM's, old vLLM's, llama.cpp's, Ollama's: found by a trial, not by what the server calls itself."""
    identity, answer = ask(Dialect(knows=(guide,), tops=None))

    assert identity == f"openai:phi-3-mini:guided_choice/{guide}:score:prompt-1"
    assert answer.status is AdviceStatus.USED
    assert answer.advice is not None
    assert (answer.advice.action, answer.advice.confidence, answer.advice.verbal, answer.advice.reason) == (
        Action.BUY,
        0.7,
        0.7,
        "trend is up",
    )


@pytest.mark.parametrize(
    ("says", "status"),
    [
        ("BUY | 1.7 | sure", AdviceStatus.INVALID),
        ("BUY | -0.1 | sure", AdviceStatus.INVALID),
        ("BUY | 0.5 |  ", AdviceStatus.INVALID),
        ("BUY | 0.5 | up", AdviceStatus.USED),
    ],
)
def test_reply_in_json_is_held_to_the_same_rules_as_a_line(says, status):
    """A server may take a schema's bounds lightly."""
    _, answer = ask(Dialect(knows=("json_schema",), says=says))
    assert answer.status is status


def test_bar_in_a_json_reason_does_not_make_a_field_of_it():
    """The reason changes nothing of the advice."""
    reply = '{"action": "SELL", "confidence": 1, "reason": "down | and\\n out"}'
    assert line_of(Guide.JSON_SCHEMA, reply) == "SELL | 1.000000 | down / and out"
    assert line_of(Guide.JSON_SCHEMA, "no json") == "no json"


def test_server_without_probabilities_and_guides_is_taken_at_its_word():
    """The strict parser reads what it says."""
    identity, answer = ask(Dialect())

    assert identity == "openai:phi-3-mini:none:score:prompt-1"
    assert answer.usable is not None
    assert answer.usable.action is Action.BUY


def test_free_text_that_is_no_advice_is_invalid():
    """Never HOLD by default."""
    _, answer = ask(Dialect(says="I would rather buy, I think."))

    assert (answer.status, answer.usable) == (AdviceStatus.INVALID, None)


def test_mode_generate_has_the_reply_written_even_where_there_are_probabilities():
    """Guided if it can be; with the tokens that the settings allow."""
    dialect = Dialect(knows=("grammar",), tops=(TOP,))

    identity, answer = ask(dialect, mode="generate")

    assert identity == "openai:phi-3-mini:guided_choice/grammar:generate:prompt-1"
    assert dialect.requests[-1]["max_tokens"] == 50
    assert "logprobs" not in dialect.requests[-1]
    assert answer.advice is not None


def test_sampled_replies_draw_from_the_seed_and_the_question():
    """The same question draws the same reply; another one draws anew."""
    dialect = Dialect()
    with Running(dialect.application()) as server:
        backend = a_backend(server, mode="generate", scoring="none", sample=True)
        backend.start()
        for seq in (1, 1, 2):
            backend.ask(a_question(seq=seq))
        backend.close()
    drawn = [(request["temperature"], request["top_p"], request["seed"]) for request in dialect.requests[-3:]]

    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][:2] == (0.7, 0.9)
    assert backend.identity.endswith("generate:t0.7p0.9s1:prompt-1")


def test_thought_before_the_answer_is_not_guided_and_its_last_line_counts():
    """A guide would hold the thought to the format as well."""
    dialect = Dialect(knows=("grammar",), says="The trend is up.\nSo I buy.\n\nBUY | 0.55 | trend up")

    identity, answer = ask(dialect, mode="generate", chain_of_thought=True, cot_max_tokens=200)

    assert ":none:" in identity
    assert dialect.requests[-1]["max_tokens"] == 250
    assert answer.usable is not None
    assert answer.usable.confidence == 0.55


def test_guides_allow_what_the_grammar_allows_and_nothing_else():
    """The regular expression of vLLM and the automaton of our own constrained decoding agree."""
    dialect = Dialect(knows=("structured_outputs",))
    ask(dialect)
    regex = re.compile(dialect.requests[-1]["structured_outputs"]["regex"])
    grammar = ReplyGrammar(0b000111)
    words = "a-b ~ ] \\ ; {x} 9"

    for line in (
        f"BUY | 0.70 | {words}",
        "HOLD | 1.00 | calm",
        "SELL | 0.00 | " + "w" * 20,
        "SELL | 0.00 | " + "w" * 21,
        "SELL | 1.01 | x",
        "BUY | 0.7 | x",
        "MOVE_TO_BE | 0.70 | x",
        "BUY | 0.70 | a|b",
        "BUY | 0.70 | <|end|>",
        "BUY | 0.70 | " + " ".join("x" * 10),
        "BUY | 0.70 | " + " ".join("x" * 11),
        "BUY | 0.70 | ",
    ):
        state = grammar.advance(grammar.start, line)
        assert (regex.fullmatch(line) is not None) == (state is not None and grammar.is_complete(state)), line


def test_configured_model_is_asked_for_by_name():
    """Not the first of the list."""
    dialect = Dialect(tops=(TOP,), models=("llama", "phi"))

    ask(dialect, model="phi")

    assert dialect.requests[-1]["model"] == "phi"


@pytest.mark.parametrize(
    ("dialect", "changes", "words"),
    [
        (Dialect(models=("llama",)), {"model": "phi"}, "does not have 'phi'; it lists 'llama'"),
        (Dialect(models=()), {}, "does not have a model; it lists none"),
        (Dialect(), {"scoring": "logprobs"}, "the server gives no log-probabilities"),
        (Dialect(), {"scoring": "guided_choice"}, "it is not offered"),
    ],
)
def test_start_says_what_the_server_lacks(dialect, changes, words):
    """With the key to change."""
    with Running(dialect.application()) as server:
        backend = a_backend(server, **changes)
        with pytest.raises(ConfigurationError, match=words) as raised:
            backend.start()
        backend.close()
    assert str(raised.value).startswith("advisor.openai.")


def test_unreachable_server_is_a_configuration_error_that_names_the_place():
    """Nobody listens at port 1."""
    backend = a_backend(None)
    with pytest.raises(ConfigurationError, match=r"cannot connect to 127.0.0.1:1.*is the server running"):
        backend.start()
    backend.close()


def test_probabilities_of_a_written_reply_are_refused_as_a_setting():
    """`generate` with `logprobs` is a contradiction."""
    with pytest.raises(ConfigurationError, match="use mode: score"):
        a_backend(None, mode="generate", scoring="logprobs")


def test_server_that_was_away_at_the_start_is_found_by_a_later_question(tmp_path):
    """Until then each question is an error that says so."""
    path = tmp_path / "model.sock"
    backend = a_backend(None, socket=str(path))
    with pytest.raises(ConfigurationError, match="cannot connect"):
        backend.start()
    away = backend.ask(a_question())
    with Running(Dialect(tops=(TOP,)).application(), path):
        back = backend.ask(a_question())
    backend.close()

    assert (away.status, back.status) == (AdviceStatus.ERROR, AdviceStatus.USED)
    assert back.scores is not None
    assert away.error is not None
    assert "cannot connect" in away.error


def test_unix_socket_takes_the_place_of_the_port(tmp_path):
    """The url's host and port are not used."""
    dialect = Dialect(tops=(TOP,))
    path = tmp_path / "model.sock"
    with Running(dialect.application(), path):
        backend = a_backend(None, socket=str(path))
        backend.start()
        answer = backend.ask(a_question())
        backend.close()
    assert answer.status is AdviceStatus.USED


def test_server_that_is_busy_at_the_start_is_not_taken_for_one_without_probabilities():
    """It says nothing of what it offers: the start fails, and does not settle for less."""
    dialect = Dialect(tops=(TOP,), busy=1)
    with Running(dialect.application()) as server:
        backend = a_backend(server)
        with pytest.raises(ConfigurationError, match="HTTP 503"):
            backend.start()
        backend.start()
        backend.close()
    assert ":logprobs:" in backend.identity
