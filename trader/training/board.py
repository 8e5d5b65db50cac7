"""TensorBoard: stable-baselines3's own figures, and those of this project beside them."""

from collections.abc import Mapping
from pathlib import Path

from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter

from trader.domain.actions import Action
from trader.training.learner import Learner, Update


class Board:
    """Writes to `folder`. A training that goes on from `steps` replaces what a cut-off one wrote behind it."""

    def __init__(self, folder: Path, learner: Learner) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        steps = learner.model.num_timesteps
        self._writer = SummaryWriter(str(folder), purge_step=steps + 1 if steps else None)
        output = TensorBoardOutputFormat.__new__(TensorBoardOutputFormat)
        output.writer, output._is_closed = self._writer, False
        self._learner = learner
        learner.model.set_logger(Logger(str(folder), [output]))

    def write(self, update: Update) -> None:
        """The figures of an update."""
        logger = self._learner.model.logger
        for action, share in enumerate(update.action_shares):
            logger.record(f"action_dist/{Action(action).name.lower()}", share)
        for name, mean in update.rewards.items():
            logger.record(f"reward/{name}", mean)
        logger.record("confidence/rl_avg", update.confidence)
        logger.record("train/entropy_weight", self._learner.model.ent_coef)
        self._learner.model.dump_logs(update.number)

    def evaluated(self, figures: Mapping[str, float]) -> None:
        """The figures of an evaluation, at the learner's present step."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, self._learner.model.num_timesteps)
        self._writer.flush()

    def close(self) -> None:
        """Everything is on disk."""
        self._writer.close()
