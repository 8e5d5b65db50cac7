"""`trader advisor bench`: how long the language model takes here, beside the least it could take on three cards.

Measured: the configured model where it is at hand, else the true shape of Phi-3-mini with random weights on a GPU, or
its first few layers on a CPU. LLM.int8's path for outliers is the one thing that random weights do not show.
"""

import gc
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from trader import assembly
from trader.adapters.phi3.loading import check_installed
from trader.adapters.phi3.options import ModelOptions
from trader.advisor.probes import probe_questions
from trader.advisor.prompt import Prompt, PromptMaker
from trader.commands.advisor_roofline import REPLY_TOKENS, SUFFIX_TOKENS, Floor, floors
from trader.commands.common import settings_from
from trader.domain.actions import ACTION_COUNT
from trader.domain.instruments import instrument
from trader.errors import ConfigurationError
from trader.options import FileOptions
from trader.settings import Settings

Shape = Literal["auto", "configured", "true", "reduced"]

WARM_UPS = 20
QUERIES = 300
REDUCED_LAYERS = 4
PREFIX_TOKENS = 150
QUANTIZATIONS: tuple[Literal["none", "int8", "int4"], ...] = ("none", "int8", "int4")
ALL_ACTIONS = (1 << ACTION_COUNT) - 1
WRITES_PER_QUERY = 10  # a reply takes as long as many queries: so many fewer are timed
FEWEST = 3


class Percentiles(Struct, frozen=True, kw_only=True):
    """Of wall-clock times, in ms."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    runs: int


class Measured(Struct, frozen=True, kw_only=True):
    """One model in one precision. `cache` is growing, or fixed with CUDA graphs. `score` and `generate` cover a query
    from the tokens on; those of the configured model from the prompt's text on.
    """

    model: str
    layers: int
    quantization: str
    dtype: str
    device: str
    cache: str
    prompt_tokens: int
    read_tokens: int
    warm_ups: int
    score: Percentiles
    generate_20: Percentiles


class NotMeasured(Struct, frozen=True, kw_only=True):
    """One precision that cannot be had here, such as without bitsandbytes, or as CUDA graphs; and why."""

    quantization: str
    graphs: str
    why: str


class Report(Struct, frozen=True, kw_only=True):
    """What was measured here and what was calculated."""

    machine: str
    measured: tuple[Measured, ...]
    not_measured: tuple[NotMeasured, ...]
    calculated: tuple[Floor, ...]


class Subject(Struct, frozen=True, kw_only=True):
    """What is timed: the n-th query, and the n-th reply of REPLY_TOKENS tokens."""

    model: str
    layers: int
    dtype: str
    device: str
    cache: str
    prompt_tokens: int
    read_tokens: int
    score: Callable[[int], object]
    write: Callable[[int], object]


def run(files: FileOptions, *, as_json: bool, shape: Shape = "auto", queries: int = QUERIES) -> None:
    """Measure, calculate, and print both. ConfigurationError where the model cannot be had in any precision."""
    settings = settings_from(files)
    options = assembly.model_options(settings)
    check_installed(replace(options, quantization="none"))
    where = machine()
    rows = list(_measured(settings, options, _chosen(shape, options), queries))
    measured = tuple(row for row in rows if isinstance(row, Measured))
    failed = tuple(row for row in rows if isinstance(row, NotMeasured))
    if not measured:
        raise ConfigurationError(failed[0].why)
    report = Report(machine=where, measured=measured, not_measured=failed, calculated=tuple(floors(PREFIX_TOKENS)))
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n" if as_json else table(report))


def machine() -> str:
    """Processor, cores, how busy they were before this, and GPU."""
    import torch  # noqa: PLC0415 -- seconds; this command is the one that needs it

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    cores = f"{os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), {torch.get_num_threads()} threads"
    return f"{platform.machine()}, {cores}, {gpu}, torch {torch.__version__}"


def _chosen(shape: Shape, options: ModelOptions) -> Shape:
    import torch  # noqa: PLC0415

    if shape != "auto":
        return shape
    if Path(options.name).expanduser().is_dir() or options.revision is not None:
        return "configured"
    return "true" if torch.cuda.is_available() else "reduced"


def _measured(
    settings: Settings, options: ModelOptions, shape: Shape, queries: int
) -> Iterator[Measured | NotMeasured]:
    with tempfile.TemporaryDirectory() as folder:
        if shape != "configured":
            options = _random_shape(options, Path(folder), shape)
        for variant in _variants(options):
            yield _measured_or_not(settings, variant, shape, queries)
            _free()


def _measured_or_not(settings: Settings, variant: ModelOptions, shape: Shape, queries: int) -> Measured | NotMeasured:
    """One precision. What fails, memory and CUDA graphs above all, costs its own line and no other."""
    try:
        subject = _configured(settings, variant) if shape == "configured" else _random(variant)
        return _timed(subject, variant, queries)
    except (ConfigurationError, RuntimeError) as error:  # of torch's own, out of memory is a RuntimeError
        return NotMeasured(quantization=variant.quantization, graphs=variant.graphs, why=str(error))


def _variants(options: ModelOptions) -> Iterator[ModelOptions]:
    """Every quantization with a growing cache, and on a GPU with graphs where they can be had."""
    import torch  # noqa: PLC0415

    is_cuda = options.device != "cpu" and torch.cuda.is_available()
    for quantization in QUANTIZATIONS:
        yield replace(options, quantization=quantization, graphs="off")
        if is_cuda and quantization != "int8":
            yield replace(options, quantization=quantization, graphs="on")


def _random_shape(options: ModelOptions, folder: Path, shape: Shape) -> ModelOptions:
    import torch  # noqa: PLC0415

    from trader.adapters.phi3.shape import TRUE_LAYERS, write_random_weights  # noqa: PLC0415

    device = "cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu"
    write_random_weights(folder, TRUE_LAYERS if shape == "true" else REDUCED_LAYERS, device)
    _free()
    return replace(options, name=str(folder), revision=None)


def _random(options: ModelOptions) -> Subject:
    """Random weights, and random tokens as many as a prompt has."""
    from trader.adapters.phi3.generation import Sampling, Writer  # noqa: PLC0415
    from trader.adapters.phi3.labels import scores_of  # noqa: PLC0415
    from trader.adapters.phi3.loading import load_weights  # noqa: PLC0415
    from trader.adapters.phi3.model import sequence_for  # noqa: PLC0415
    from trader.adapters.phi3.prefix import PrefixCache  # noqa: PLC0415

    model, device = load_weights(options)
    cached = PrefixCache(sequence_for(options, model, device))
    rng = np.random.default_rng(1)
    prefix = tuple(rng.integers(3, 32_000, PREFIX_TOKENS).tolist())
    rests = [rng.integers(3, 32_000, SUFFIX_TOKENS).tolist() for _ in range(16)]
    labels = tuple(frozenset({3 + 2 * at, 4 + 2 * at}) for at in range(ACTION_COUNT))
    greedy = Sampling(temperature=0, top_p=1, seed=1)

    def score(number: int) -> object:
        with cached.reading(prefix, rests[number % len(rests)]) as logits:
            return scores_of(logits, labels, ALL_ACTIONS)

    def write(number: int) -> object:
        with cached.reading(prefix, rests[number % len(rests)]) as logits:
            return Writer(cached.sequence, greedy, "", _never).free(logits, REPLY_TOKENS, (), ())

    return Subject(
        model="random weights",
        layers=model.config.num_hidden_layers,
        dtype=str(model.dtype).removeprefix("torch."),
        device=device,
        cache="fixed" if options.graphs == "on" else "growing",
        prompt_tokens=PREFIX_TOKENS + SUFFIX_TOKENS,
        read_tokens=SUFFIX_TOKENS,
        score=score,
        write=write,
    )


def _configured(settings: Settings, options: ModelOptions) -> Subject:
    """The configured model, asked as a run asks it."""
    from trader.adapters.phi3.generation import Sampling, Writer  # noqa: PLC0415
    from trader.adapters.phi3.model import Phi3Model  # noqa: PLC0415

    model = Phi3Model(replace(options, mode="score"))
    prompts = _prompts(settings)
    model.prepare(prompts)
    prefix, read = model.split(prompts[0])
    greedy = Sampling(temperature=0, top_p=1, seed=1)

    def write(number: int) -> object:
        own, rest = model.split(prompts[number % len(prompts)])
        with model.prefix.reading(own, rest) as logits:
            return Writer(model.prefix.sequence, greedy, "", _never).free(logits, REPLY_TOKENS, (), ())

    _, _, dtype, device, cache = model.identity.rsplit(":", 4)
    return Subject(
        model=options.name,
        layers=model.layers,
        dtype=dtype,
        device=device,
        cache=cache,
        prompt_tokens=len(prefix) + len(read),
        read_tokens=len(read),
        score=lambda number: model.score(prompts[number % len(prompts)], ALL_ACTIONS),
        write=write,
    )


def _prompts(settings: Settings) -> list[Prompt]:
    maker = PromptMaker(assembly.prompt_rules(settings))
    return [
        maker.render(replace(question, price=question.price + 0.25 * step, rsi=question.rsi + step))
        for question in probe_questions(instrument(settings.market))
        for step in range(8)
    ]


def _never() -> bool:
    return False


def _timed(subject: Subject, options: ModelOptions, queries: int) -> Measured:
    warm_ups = min(WARM_UPS, queries)
    for number in range(warm_ups):
        subject.score(number)
    score = _percentiles(subject.score, queries)
    subject.write(0)
    generate = _percentiles(subject.write, max(FEWEST, queries // WRITES_PER_QUERY))
    return Measured(
        model=subject.model,
        layers=subject.layers,
        quantization=options.quantization,
        dtype=subject.dtype,
        device=subject.device,
        cache=subject.cache,
        prompt_tokens=subject.prompt_tokens,
        read_tokens=subject.read_tokens,
        warm_ups=warm_ups,
        score=score,
        generate_20=generate,
    )


def _percentiles(call: Callable[[int], object], runs: int) -> Percentiles:
    taken: list[float] = []
    for number in range(runs):
        began = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - began) * 1_000)
    p50, p95, p99 = (round(float(value), 2) for value in np.percentile(taken, (50, 95, 99)))
    return Percentiles(p50_ms=p50, p95_ms=p95, p99_ms=p99, runs=runs)


def _free() -> None:
    """Give a model's memory back before the next one is loaded."""
    import torch  # noqa: PLC0415

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def table(report: Report) -> str:
    """Both halves as text."""
    lines = [
        f"measured on {report.machine}",
        f"{'precision':<22}{'layers':>8}{'read/prompt':>14}{'score p50/p95/p99 ms':>32}",
    ]
    lines[-1] += f"{f'{REPLY_TOKENS} tokens p50/p95/p99 ms':>36}"
    lines += [_measured_line(row) for row in report.measured]
    lines += [f"{row.quantization} with graphs {row.graphs}: not measured: {row.why}" for row in report.not_measured]
    lines += ["", "calculated, efficiency 1: what no program can beat on these cards with the whole model"]
    lines += [
        f"{'card':<12}{'precision':<12}{'weights GB':>12}{'ms a token':>12}{'score ms':>12}{'20 tokens ms':>14}  bound"
    ]
    lines += [
        f"{row.card:<12}{row.quantization:<12}{row.weights_gb:>12}{row.token_ms:>12}{row.score_ms:>12}"
        f"{row.reply_ms:>14}  {row.score_bound}"
        for row in report.calculated
    ]
    return "\n".join(lines) + "\n"


def _measured_line(row: Measured) -> str:
    precision = f"{row.quantization} {row.dtype} {row.cache}"
    tokens = f"{row.read_tokens}/{row.prompt_tokens}"
    return f"{precision:<22}{row.layers:>8}{tokens:>14}{_triple(row.score):>32}{_triple(row.generate_20):>36}"


def _triple(times: Percentiles) -> str:
    return f"{times.p50_ms} / {times.p95_ms} / {times.p99_ms}"
