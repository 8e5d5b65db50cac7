"""The language model as the advisor needs it: probabilities of labels in one pass, replies in a format, reasons.

Not thread-safe: one thread makes and uses it.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from trader.adapters.phi3.batch import BatchReader
from trader.adapters.phi3.chat import Chat, common_prefix
from trader.adapters.phi3.constrained import Constraint, TokenTable
from trader.adapters.phi3.generation import Sampling, Stop, Writer
from trader.adapters.phi3.labels import FIRST_TOKENS, label_tokens, scores_of
from trader.adapters.phi3.loading import load
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.prefix import PrefixCache
from trader.adapters.phi3.sequence import GrowingSequence
from trader.adapters.phi3.static import FixedSequence, TokenSequence
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores
from trader.domain.actions import ACTION_COUNT, Action
from trader.errors import ConfigurationError

LONGEST_HEAD = len(" DISABLE_TRAIL | 0.00 | r")  # tokens, if each were one character: then a reply is whole
FIXED_STEP = 64
BETWEEN = "\n"
ALL_ACTIONS = (1 << ACTION_COUNT) - 1


class Written(Struct, frozen=True):
    """What a model wrote: its `thought`, empty without chain of thought, and the `line` in the reply's format."""

    thought: str
    line: str


class Phi3Model:
    """A loaded model. Raises ConfigurationError, with a remedy, where it cannot be had as `options` say.

    Every method raises ConfigurationError for a prompt that is too long or that the chat template changes, and
    whatever torch raises, such as torch.OutOfMemoryError; the model can be asked again afterwards.
    """

    def __init__(self, options: ModelOptions) -> None:
        if options.mode == "generate" and options.max_new_tokens < LONGEST_HEAD:
            msg = f"llm_model.max_new_tokens: {options.max_new_tokens} may cut a reply; set {LONGEST_HEAD} or more"
            raise ConfigurationError(msg)
        self._options = options
        self._loaded = load(options)
        self._chat = Chat(self._loaded, options.name, options.prompt_limit)
        self._labels = label_tokens(self._chat) if options.mode == "score" else None  # a written reply needs none
        self._prefix = PrefixCache(sequence_for(options, self._loaded.model, self._loaded.device))
        self._prepared: tuple[int, ...] = ()
        self._batch: BatchReader | None = None
        self._table: TokenTable | None = None
        self._constraints: dict[int, Constraint] = {}

    @property
    def identity(self) -> str:
        """What makes its answers differ from another's: weights, precision, device, kind of cache."""
        loaded, options = self._loaded, self._options
        cache = "fixed" if _is_fixed(options, loaded.device) else "growing"
        name = options.name.rstrip("/").rpartition("/")[2]
        kind = loaded.device.partition(":")[0]
        return f"phi3:{name}@{loaded.version}:{options.quantization}:{loaded.dtype}:{kind}:{cache}"

    @property
    def layers(self) -> int:
        """How many it has; the real one 32."""
        return int(self._loaded.model.config.num_hidden_layers)

    @property
    def prefix(self) -> PrefixCache:
        """The cache that every query goes through."""
        return self._prefix

    def check(self, system: str) -> None:
        """Raise ConfigurationError where `system` would not reach the model whole."""
        self._chat.check(system)

    def prepare(self, probes: Sequence[Prompt]) -> None:
        """Keep what all `probes` begin with as the prefix, and warm up. Give some that differ in all that may change.

        Prompts that begin otherwise, and all of them without this, have a shorter prefix: the turns before the last.
        """
        sequences = [self._chat.encode(probe.messages) for probe in probes]
        self._prepared = common_prefix(sequences) if len(set(sequences)) > 1 else ()
        for probe in probes:
            self._read(probe)
        if isinstance(self._prefix.sequence, FixedSequence) and sequences:
            self._prefix.sequence.warm_up(2 * max(map(len, sequences)) - 2 * len(self._prepared))
            self._read(probes[0])
        if probes and (self._options.mode == "generate" or self._options.wants_reason):
            self.explain(probes[0], ALL_ACTIONS, Action.HOLD, lambda: False)

    def split(self, prompt: Prompt) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """A prompt's tokens as (those in the cache, at least one that a query reads); a matter of the prompt alone."""
        tokens = self._chat.encode(prompt.messages)
        prefix = self._prepared
        if not prefix or tokens[: len(prefix)] != prefix:
            prefix = common_prefix([self._chat.own_prefix(prompt), tokens])
        return prefix, tokens[len(prefix) :]

    def score(self, prompt: Prompt, mask: int) -> Scores:
        """The probabilities of the labels in `mask`, in one pass."""
        labels = self._scored_labels
        prefix, rest = self.split(prompt)
        with self._prefix.reading(prefix, rest) as logits:
            return scores_of(logits, labels, mask)

    def score_batch(self, prompts: Sequence[Prompt], masks: Sequence[int]) -> list[Scores]:
        """The scores of many prompts, in order; equal to those of `score` but for rounding, so mark them batched."""
        labels = self._scored_labels
        self._batch = self._batch or BatchReader(self._loaded.model)
        splits = [self.split(prompt) for prompt in prompts]
        scores: dict[int, Scores] = {}
        for prefix in dict.fromkeys(prefix for prefix, _ in splits):
            places = [at for at, (own, _) in enumerate(splits) if own == prefix]
            read = self._batch.read(prefix, [splits[at][1] for at in places])
            for at, logits in zip(places, read, strict=True):
                scores[at] = scores_of(logits, labels, masks[at])
        return [scores[at] for at in range(len(prompts))]

    def generate(self, prompt: Prompt, mask: int, should_stop: Stop) -> str:
        """What `write` gives as one text: the line that counts is the last."""
        written = self.write(prompt, mask, should_stop)
        return f"{written.thought}{BETWEEN}{written.line}" if written.thought else written.line

    def write(self, prompt: Prompt, mask: int, should_stop: Stop) -> Written:
        """The reply: a line in the format, and the thought before it where the options want one.

        Raises GenerationStoppedError within a token of `should_stop` saying so.
        """
        options = self._options
        temperature = options.temperature if options.sample else 0.0
        return self._write(prompt, mask, should_stop, temperature=temperature, thinks=options.chain_of_thought)

    def explain(self, prompt: Prompt, mask: int, action: int, should_stop: Stop) -> str:
        """At most ten words on why `action` (of `mask`): the rest of a reply that begins with its label."""
        if not mask >> action & 1:
            msg = f"action {action} is not in the mask {mask:#b}"
            raise ValueError(msg)
        written = self._write(prompt, 1 << action, should_stop, temperature=0.0, thinks=False)
        return written.line.rpartition("|")[2].strip()

    @property
    def _scored_labels(self) -> FIRST_TOKENS:
        if self._labels is None:
            self._labels = label_tokens(self._chat)
        return self._labels

    def _read(self, prompt: Prompt) -> None:
        with self._prefix.reading(*self.split(prompt)):
            pass

    def _write(self, prompt: Prompt, mask: int, should_stop: Stop, *, temperature: float, thinks: bool) -> Written:
        options, thought = self._options, ""
        sampling = Sampling(temperature=temperature, top_p=options.top_p, seed=options.seed)
        prefix, rest = self.split(prompt)
        constraint, limit = self._constraint(mask), max(options.max_new_tokens, LONGEST_HEAD)
        with self._prefix.reading(prefix, rest) as answering:
            logits, writer = answering, Writer(self._prefix.sequence, sampling, prompt.sha256, should_stop)
            if thinks:
                tokens = writer.free(logits, options.cot_max_tokens, self._chat.ends, self._chat.never)
                thought = self._chat.text_of(tokens).strip()
                logits = self._prefix.sequence.extend(self._chat.tokens_of(BETWEEN))
            reply = writer.constrained(logits, constraint, limit)
        line = "".join(self._token_table.texts[token] or "" for token in reply).strip()
        return Written(thought, line)

    @property
    def _token_table(self) -> TokenTable:
        if self._table is None:
            vocabulary = int(self._loaded.model.config.vocab_size)
            self._table = TokenTable(self._chat.token_texts(), vocabulary, self._chat.ends)
        return self._table

    def _constraint(self, mask: int) -> Constraint:
        if mask not in self._constraints:
            self._constraints[mask] = Constraint(mask, self._token_table)
        return self._constraints[mask]


def _is_fixed(options: ModelOptions, device: str) -> bool:
    """Whether the cache is of fixed tensors: where CUDA graphs pay, and where asked for (on a CPU to try the path).

    LLM.int8 asks the device which columns are outliers in every layer, which no graph can hold.
    """
    is_cuda = device.startswith("cuda")
    if options.graphs == "on" and is_cuda and options.quantization == "int8":
        msg = (
            "llm_model.quantization int8 cannot run as a CUDA graph (its outliers are found pass by pass): graphs auto"
        )
        raise ConfigurationError(msg)
    return options.graphs == "on" or (options.graphs == "auto" and is_cuda and options.quantization != "int8")


def sequence_for(options: ModelOptions, model: Any, device: str) -> TokenSequence:
    """The kind of cache that `options` want for `model` on `device`."""
    if not _is_fixed(options, device):
        return GrowingSequence(model)
    written = max(options.max_new_tokens, LONGEST_HEAD) + options.cot_max_tokens + FIXED_STEP
    capacity = -(-(options.prompt_limit + written) // FIXED_STEP) * FIXED_STEP
    return FixedSequence(model, capacity, captures=device.startswith("cuda"))
