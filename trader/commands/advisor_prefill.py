"""`trader advisor prefill`: a recording of all that a backtest asks its language model, so that it can be repeated.

Bars are replayed on the recording, empty at first, so that every question is missing and the strategy trades alone;
what is missing is answered in batches, and the bars are replayed again.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from trader import assembly
from trader.adapters.columns import concatenate
from trader.adapters.phi3.answering import identity_of
from trader.adapters.phi3.worker import load
from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import Head, Key, Recorded, Recording, RecordingFile
from trader.advisor.prompt import PromptMaker
from trader.advisor.question import Answer
from trader.advisor.replies import answer_from_text
from trader.backends import model_backend, prompt_maker
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.domain.decisions import AdviceStatus
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import ConfigurationError, UsageError
from trader.evaluation.advised import advised_by, replay
from trader.evaluation.prefill import (
    AnsweredAtOnce,
    Answering,
    Missing,
    MissingWatch,
    Prefilled,
    PrefillRules,
    prefill,
)
from trader.evaluation.runs import Market
from trader.options import BarOptions, FileOptions, PrefillOptions, ShortOptions
from trader.ports import AdvisorBackend
from trader.settings import Settings

ERRORS_IN_A_ROW = 5
INTERRUPTED = 130
LINES_PER_PASS = 10


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: PrefillOptions, *, as_json: bool) -> int:
    """Fill the recording and say what became of it; the exit code. Interrupted, what was answered is kept."""
    settings = settings_from(files, short)
    if settings.advisor.backend not in {"phi3", "openai"}:
        msg = (
            f"advisor.backend {settings.advisor.backend} is no language model to record; give --advisor phi3 or openai"
        )
        raise UsageError(msg)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    market = Market(columns=concatenate(list(source.columns())), facts=facts_for_log(source, bars))
    prompts = prompt_maker(settings)
    head, answering, close = _model(settings, prompts)
    path = wanted.out or _default_path(settings, head)
    try:
        with RecordingFile(path, head) as file:
            for note in file.notes:
                sys.stderr.write(f"{note}\n")
            replays = _Replays(settings, market, prompts, file)
            rules = PrefillRules(passes=wanted.passes, batch=wanted.batch)
            try:
                done = prefill(replays.once, answering, file, rules, _tell())
                if done.missing_left and wanted.complete:
                    left = replays.completing(answering).unanswered
                    done = replace(done, answers=len(file.answers), missing_left=left)
            except KeyboardInterrupt:
                sys.stderr.write(
                    f"\nstopped; {len(file.answers):,} answers are kept in {path}: the same command goes on\n"
                )
                return INTERRUPTED
    finally:
        close()
    sys.stdout.write(_document(path, head, done) if as_json else _table(path, head, done))
    return 0


class _Replays:
    """Replays of the bars on the recording as it grows."""

    def __init__(self, settings: Settings, market: Market, prompts: PromptMaker, file: RecordingFile) -> None:
        self._settings = settings
        self._market = market
        self._prompts = prompts
        self._file = file

    def once(self) -> MissingWatch:
        """One that asks nobody."""
        return self._watched(self._recorded())

    def completing(self, answering: Answering) -> MissingWatch:
        """One that has answered at once what is missing; raises what kept an answer from the file."""
        backend = AnsweredAtOnce(self._recorded(), answering, self._file, self._prompts)
        watch = self._watched(backend)
        if backend.trouble is not None:
            raise backend.trouble
        return watch

    def _recorded(self) -> RecordedAnswers:
        recording = Recording(self._file.head, self._file.answers)
        return RecordedAnswers(recording, self._prompts.render, self._prompts.identity)

    def _watched(self, backend: AdvisorBackend) -> MissingWatch:
        watch = MissingWatch(self._prompts.render)
        asyncio.run(replay(self._market, self._settings, advised_by(self._settings, backend), watch))
        return watch


def _model(settings: Settings, prompts: PromptMaker) -> tuple[Head, Answering, Callable[[], None]]:
    """Who is recorded, how it answers a batch, and how it is let go; ConfigurationError where it cannot be had."""
    if settings.advisor.backend == "phi3":
        return *_phi3(settings, prompts), lambda: None
    backend = model_backend(settings, settings.advisor.backend, prompts, lambda _sha256, _text: None)
    identity = backend.identity
    try:
        backend.start()
    except BaseException:  # nothing may stay behind
        backend.close()
        raise
    head = replace(_head(settings, prompts, identity, is_batched=False), answered_by=backend.identity)
    return head, one_by_one(backend), backend.close


def _phi3(settings: Settings, prompts: PromptMaker) -> tuple[Head, Answering]:
    """The model in this process: nobody waits for a single answer here."""
    options = assembly.model_options(settings)
    model = load(options)
    model.check(settings.prompt.system)
    scores = settings.advisor.mode == "score"

    def score(batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        asked = [missing.prompt for missing in batch]
        masks = [missing.question.mask for missing in batch]
        return dict(zip(map(_key, batch), model.score_batch(asked, masks), strict=True))

    def write(batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        return {_key(one): model.generate(one.prompt, one.question.mask, lambda: False) for one in batch}

    identity = identity_of(options, prompts.identity)
    head = replace(_head(settings, prompts, identity, is_batched=scores), answered_by=model.identity)
    return head, sparing(score if scores else write)


def sparing(answering: Answering) -> Answering:
    """The same, but a question that cannot be answered (its prompt is too long, its scores no numbers) is left out."""

    def answer(batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        try:
            return answering(batch)
        except (ConfigurationError, ArithmeticError) as error:
            if len(batch) == 1:
                sys.stderr.write(f"bar {batch[0].question.seq} stays without an answer: {error}\n")
                return {}
        return {key: recorded for one in batch for key, recorded in answer([one]).items()}

    return answer


def one_by_one(backend: AdvisorBackend) -> Answering:
    """Any back end; its errors are left out, to be asked again by the next pass, but it may not err for ever."""
    errors = 0

    def ask(batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        nonlocal errors
        answers = {}
        for one in batch:
            answer = backend.ask(one.question)
            errors = errors + 1 if answer.status is AdviceStatus.ERROR else 0
            if errors == ERRORS_IN_A_ROW:
                msg = f"{errors} questions in a row ended in an error ({answer.error}); what was answered is kept"
                raise ConfigurationError(msg)
            recorded = recordable(one, answer)
            if recorded is not None:
                answers[_key(one)] = recorded
        return answers

    return ask


def recordable(missing: Missing, answer: Answer) -> Recorded | None:
    """What has to be recorded so that `answer` comes of it again; None for an error, or where nothing would do.

    A reply is recorded as the line that counts: a server's may have a thought before it, or a format of its own.
    """
    if answer.status not in {AdviceStatus.USED, AdviceStatus.INVALID}:
        return None
    if answer.scores is not None:
        return answer.scores
    reply = "" if answer.trace is None or answer.trace.reply is None else answer.trace.reply
    lines = [reply, reply.strip().rpartition("\n")[2]]
    advice = answer.advice
    if advice is not None:
        lines.append(f"{advice.action.name} | {advice.confidence} | {advice.reason}")
    for line in lines:
        again = answer_from_text(missing.question, missing.prompt, line, None)
        if (again.status, again.advice) == (answer.status, advice):
            return line
    return None


def _key(missing: Missing) -> Key:
    return Key(missing.prompt.sha256, missing.question.mask)


def _head(settings: Settings, prompts: PromptMaker, identity: str, *, is_batched: bool) -> Head:
    advisor, model = settings.advisor, settings.llm_model
    is_local = advisor.backend == "phi3"
    until = model.knowledge_until
    return Head(
        backend=advisor.backend,
        identity=identity,
        answered_by=identity,
        model=Path(model.name).name if is_local else advisor.openai.model or "",
        revision=model.revision if is_local else None,
        quantization=model.quantization if is_local else "",
        mode=advisor.mode,
        prompt=prompts.identity,
        anonymised=settings.prompt.anonymise,
        batched=is_batched,
        knowledge_until=None if until is None else until.isoformat(),
    )


def _default_path(settings: Settings, head: Head) -> Path:
    digest = hashlib.sha256(msgspec.json.encode(head)).hexdigest()[:12]
    return Path(settings.state.dir) / "recordings" / f"{head.backend}-{digest}.jsonl"


def _tell() -> Callable[[int, int, int], None]:
    """How far a pass is: one line that changes on a terminal, a few JSON lines off it; both on standard error."""
    is_terminal = sys.stderr.isatty()
    told = (0, -1)

    def tell(number: int, done: int, total: int) -> None:
        nonlocal told
        if is_terminal:
            sys.stderr.write(f"\rpass {number}: {done:,} of {total:,} questions answered ")
            sys.stderr.write("\n" if done == total else "")
            sys.stderr.flush()
        elif (tenth := (number, done * LINES_PER_PASS // max(total, 1))) != told:
            told = tenth
            line = {"progress": "prefill", "pass": number, "questions": done, "of": total}
            sys.stderr.write(json.dumps(line) + "\n")

    return tell


def _document(path: Path, head: Head, done: Prefilled) -> str:
    document = {"recording": str(path), "head": msgspec.to_builtins(head), **msgspec.to_builtins(done)}
    return msgspec.json.encode(document).decode() + "\n"


def _table(path: Path, head: Head, done: Prefilled) -> str:
    lines = [
        f"replay {number}: {one.questions:,} questions, {one.missing:,} without an answer, {one.new:,} new, "
        f"{one.answered:,} answered"
        for number, one in enumerate(done.passes, 1)
    ]
    kind = "scored in batches" if head.batched else "one by one"
    lines.append(f"Recording: {path}, {done.answers:,} answers of {head.answered_by}, {kind}")
    if done.missing_left:
        lines.append(
            f"{done.missing_left:,} questions of the last replay have no answer: a backtest decides without advice "
            "(rl_only, status missing); --complete has them answered one by one"
        )
    else:
        lines.append("No question of a backtest on these bars and settings is without an answer.")
    lines.append(f"Use it with: trader backtest ... --advisor recorded --set advisor.recorded_from={path}")
    return "\n".join([*lines, ""])
