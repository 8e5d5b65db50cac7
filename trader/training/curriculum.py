"""A phase of one seed, from its beginning or from where it was cut off, to its bundle."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from trader.adapters.lock import open_alone
from trader.errors import InputError, TrainingInterruptedError
from trader.policy.manifest import Evaluation, Span
from trader.training import snapshot as snapshots
from trader.training.beginning import Beginning, Lesson, begin, go_on
from trader.training.board import Board
from trader.training.bundling import keep_bundle, network_of
from trader.training.ground import Ground
from trader.training.judge import validate
from trader.training.learner import Update
from trader.training.phases import (
    BOARD,
    BUNDLE,
    CRITIC,
    CURVE,
    LATEST,
    RECORD,
    SNAPSHOTS,
    Record,
    Validation,
    folder_of,
    read_record,
    write_json,
)
from trader.training.transfer import critic_of, save_critic
from trader.training.watch import Watch

TAKEN = "another training is at work here; wait for it, or stop it, then go on with --resume"


class Course(Struct, frozen=True, kw_only=True, eq=False):
    """What all phases of a run share. `held_out` are the validation dates, None where there are none.

    `is_stopped` is asked after every update; `through_engine` trades a bundle for the board's figures.
    """

    run: Path
    held_out: Ground | None
    held_out_span: Span | None
    is_stopped: Callable[[], bool]
    through_engine: Callable[[Path], Mapping[str, float]] | None


def train_phase(lesson: Lesson, course: Course, report: Callable[[Update], None]) -> Record:
    """Train a phase and return its record; at once if it is finished. Errors leave the last good state on disk.

    `report` is told of every update.
    """
    folder = folder_of(course.run, lesson.phase, lesson.seed)
    record = read_record(folder)
    if record is not None and record.is_finished:
        return record
    if record is not None and record.ground_sha256 != lesson.ground.tape.sha256:
        msg = f"{folder}: was trained on other bars ({record.ground_sha256[:16]}); give the same, or another run"
        raise InputError(msg)
    if record is not None:
        lesson = structs.replace(lesson, source=None if record.source is None else Path(record.source))
    found = snapshots.snapshots_in(folder / SNAPSHOTS)
    snapshot = snapshots.read(found[-1]) if found else None
    beginning = begin(lesson) if snapshot is None else go_on(lesson, snapshot)
    training = _Training(lesson, course, folder, beginning, {} if snapshot is None else snapshot.story)
    return training.run(report)


class _Training:
    """One phase of one seed while it runs."""

    def __init__(
        self, lesson: Lesson, course: Course, folder: Path, beginning: Beginning, story: dict[str, Any]
    ) -> None:
        self._lesson, self._course, self._folder = lesson, course, folder
        self._beginning, self._learner, self._scale = beginning, beginning.learner, beginning.scale
        self._watch = Watch(lesson.plan.watch)
        self._evaluations = [msgspec.convert(entry, Validation) for entry in story.get("evaluations", [])]
        self._kept_steps: int | None = story.get("kept_steps")
        self._watch.action, self._watch.one_sided_since = story.get("one_sided", [None, 0])
        folder.mkdir(parents=True, exist_ok=True)
        self._curve = open_alone(folder / CURVE, TAKEN)
        self._curve.seek(story.get("curve_bytes", 0))  # where the file ends from now on, and what `tell` says
        self._curve.truncate()
        self._board = Board(folder / BOARD, self._learner)

    def run(self, report: Callable[[Update], None]) -> Record:
        """Update after update to the end."""
        every = self._lesson.plan.run.snapshot_every_updates
        try:
            self._record(is_finished=False)
            if not snapshots.snapshots_in(self._folder / SNAPSHOTS):
                self._save()
            for update in self._learner.updates():
                self._take_in(update)
                report(update)
                if self._course.is_stopped():
                    self._save()
                    raise TrainingInterruptedError(self._how_to_go_on())
                if update.number % every == 0:
                    self._save()
            return self._finish()
        finally:
            self._board.close()
            self._curve.close()

    def _take_in(self, update: Update) -> None:
        self._watch.look(update, self._learner.model)
        self._curve.write(msgspec.json.encode(update) + b"\n")
        self._curve.flush()
        self._board.write(update)
        every = self._lesson.plan.evaluation.every_steps
        rollout = self._lesson.plan.ppo.rollout
        is_last = update.steps >= self._lesson.total_steps
        if is_last or update.steps // every > (update.steps - rollout) // every:
            self._evaluate(is_last=is_last)

    def _evaluate(self, *, is_last: bool) -> None:
        """Judge on the validation dates and keep the best; without such dates the last is kept."""
        held_out = self._course.held_out
        if held_out is None:
            if is_last:
                self._keep(None)
            return
        steps = self._learner.model.num_timesteps
        found = validate(
            network_of(self._learner, self._scale), held_out, actions=self._lesson.phase.actions, steps=steps
        )
        best = max((entry.daily_net_r for entry in self._evaluations), default=float("-inf"))
        self._evaluations.append(found)
        self._board.evaluated({"validation/daily_net_r": found.daily_net_r, "validation/trades": found.trades})
        if self._course.through_engine is not None:
            self._bundle(self._folder / LATEST, found)
            self._board.evaluated(self._course.through_engine(self._folder / LATEST))
        if found.daily_net_r > best:
            self._keep(found)

    def _keep(self, found: Validation | None) -> None:
        self._bundle(self._folder / BUNDLE, found)
        save_critic(self._folder / CRITIC, critic_of(self._learner.model))
        self._kept_steps = self._learner.model.num_timesteps

    def _bundle(self, out: Path, found: Validation | None) -> None:
        evaluation = None
        if found is not None and self._course.held_out_span is not None:
            evaluation = Evaluation(
                bars=self._course.held_out_span,
                trades=found.trades,
                net_r=round(found.net_r, 3),
                win_rate=round(found.win_rate, 4),
                mean_episode_r=round(found.daily_net_r, 4),
                episodes=found.sessions,
            )
        phase = self._lesson.phase
        keep_bundle(out, self._learner, self._scale, self._beginning.taught, phase, evaluation=evaluation)

    def _save(self) -> None:
        story = {
            "had_critic": self._beginning.had_critic,
            "taught": msgspec.to_builtins(self._beginning.taught),
            "evaluations": msgspec.to_builtins(self._evaluations),
            "kept_steps": self._kept_steps,
            "one_sided": [self._watch.action, self._watch.one_sided_since],
            "curve_bytes": self._curve.tell(),
        }
        snapshot = snapshots.take(self._learner, story)
        snapshot.arrays["scale.mean"], snapshot.arrays["scale.variance"] = self._scale.mean, self._scale.variance
        snapshots.write(self._folder / SNAPSHOTS, snapshot)

    def _finish(self) -> Record:
        self._save()
        return self._record(is_finished=True)

    def _record(self, *, is_finished: bool) -> Record:
        source = self._lesson.source
        record = Record(
            phase=self._lesson.phase.value,
            seed=self._lesson.seed,
            is_finished=is_finished,
            steps=self._learner.model.num_timesteps,
            source=None if source is None else str(source),
            had_critic=self._beginning.had_critic,
            ground_sha256=self._lesson.ground.tape.sha256,
            kept_steps=self._kept_steps,
            evaluations=tuple(self._evaluations),
        )
        write_json(self._folder / RECORD, record)
        return record

    def _how_to_go_on(self) -> str:
        steps = self._learner.model.num_timesteps
        return (
            f"stopped after {steps:,} of {self._lesson.total_steps:,} steps of {self._lesson.phase.label}, seed "
            f"{self._lesson.seed}; everything is saved: go on with `trader train --resume {self._course.run}`"
        )
