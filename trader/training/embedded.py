"""`make bundle`: trains the model that is shipped, on synthetic bars, and exports it.

A short, real training: MaskablePPO on two cores in some minutes, fixed seeds, held-out bars of another seed for the
figures in the manifest. It shows that the whole line works; it proves nothing about markets.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import sb3_contrib
import torch
import typer
from msgspec import Struct
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

from trader import __version__, assembly
from trader.adapters.columns import concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.kernels import book as book_kernels
from trader.observation import schema_hash
from trader.policy.bundle import EMBEDDED, load_bundle
from trader.policy.manifest import Evaluation, Label, Span
from trader.settings import load_settings
from trader.training.env import TradingEnv
from trader.training.evaluate import Figures, evaluate
from trader.training.export import Facts, export_bundle
from trader.training.tape import TrainingTape, make_tape

MARKET = "NQ"
PHASE = "embedded"
NOTE = (
    "Trained for a few minutes on a synthetic market, so that a fresh installation has a model to run. The bars are "
    "random numbers with mild momentum; results on them, or on any others, are no claim about profit."
)


class Plan(Struct, frozen=True, kw_only=True):
    """The hyper-parameters, field by field; all of them stand in the manifest."""

    seed: int = 20_160_104
    """Of weights, sampling and episode starts."""
    steps: int = 1_000_000
    """Choices in all; whole rollouts are played, so a few more."""
    envs: int = 64
    rollout_steps: int = 128
    """Choices an account between two updates."""
    batch_size: int = 1_024
    epochs: int = 4
    """More of them learn the noise of a rollout: held-out results fell with 8 and 10."""
    learning_rate: float = 1e-3
    """At the start; falls linearly to 0."""
    gamma: float = 0.998
    gae_lambda: float = 0.98
    clip_range: float = 0.2
    ent_coef: float = 0.005
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    hidden: tuple[int, ...] = (256, 128)
    """Of the actor and of the critic, tanh."""
    entry_bias: float = -1.0
    manage_bias: float = -4.0
    """First logits of BUY and SELL, and of the three that manage, beside HOLD's 0. A policy that moved its stop at
    random would end nearly every trade at break-even, and never see what an entry is worth."""
    clip_obs: float = 5.0
    normaliser_steps: int = 512
    """Random choices an account from which the normaliser is taken before training; then it is frozen."""
    torch_threads: int = 2
    bars_seed: int = 1
    bars_start: str = "2016-01-04"
    bars_sessions: int = 500
    held_out_seed: int = 2_019
    """Not looked at while the values above were chosen."""
    held_out_start: str = "2019-01-02"
    held_out_sessions: int = 120


class Ground(Struct, frozen=True, eq=False):
    """What is trained on, and what it is judged by."""

    tape: TrainingTape
    held_out: TrainingTape
    terms: book_kernels.Terms
    risk_cents: int


Report = Callable[[dict[str, object]], None]


def prepare(plan: Plan) -> Ground:
    """Generate both markets and read the terms of trade from the shipped paper profile."""
    market = instrument(MARKET)
    calendar = Calendar.load()
    settings = load_settings(environ={})
    window = assembly.window(settings)
    terms = assembly.terms_of_trade(settings, market).as_row(market)

    def tape(seed: int, start: str, sessions: int) -> TrainingTape:
        bars = generate(seed, start, sessions, calendar=calendar, market=SyntheticMarket(instrument=market))
        return make_tape(concatenate(list(bars)), calendar, window, market)

    learned = tape(plan.bars_seed, plan.bars_start, plan.bars_sessions)
    held_out = tape(plan.held_out_seed, plan.held_out_start, plan.held_out_sessions)
    return Ground(learned, held_out, terms, learned.typical_risk_cents(terms))


def frozen_normaliser(env: TradingEnv, plan: Plan) -> VecNormalize:
    """Mean and variance of the observations of random valid choices; not updated afterwards."""
    rng = np.random.default_rng(plan.seed)
    normalised = VecNormalize(env, training=True, norm_reward=False, clip_obs=plan.clip_obs)
    normalised.reset()
    for _ in range(plan.normaliser_steps):
        masks = env.action_masks()
        normalised.step((rng.random(masks.shape) * masks).argmax(axis=1))
    normalised.training = False
    return normalised


class _Progress(BaseCallback):  # type: ignore[misc]  # the library ships no types here
    """Says after each rollout how far the training is."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        recent = [float(episode["r"]) for episode in self.model.ep_info_buffer]
        mean_r = round(float(np.mean(recent)), 3) if recent else None
        self._report({"steps": self.num_timesteps, "episode_r": mean_r})


def train(plan: Plan, ground: Ground, report: Report) -> tuple[Any, VecNormalize]:
    """The trained model, and the normaliser that it saw the market through."""
    torch.set_num_threads(plan.torch_threads)
    env = TradingEnv(ground.tape, ground.terms, count=plan.envs, risk_cents=ground.risk_cents, seed=plan.seed)
    normalised = frozen_normaliser(env, plan)
    layers = list(plan.hidden)
    model = MaskablePPO(
        "MlpPolicy",
        normalised,
        learning_rate=lambda left: plan.learning_rate * left,
        n_steps=plan.rollout_steps,
        batch_size=plan.batch_size,
        n_epochs=plan.epochs,
        gamma=plan.gamma,
        gae_lambda=plan.gae_lambda,
        clip_range=plan.clip_range,
        ent_coef=plan.ent_coef,
        vf_coef=plan.vf_coef,
        max_grad_norm=plan.max_grad_norm,
        policy_kwargs={"net_arch": {"pi": layers, "vf": layers}, "activation_fn": torch.nn.Tanh},
        seed=plan.seed,
        device="cpu",
    )
    with torch.no_grad():
        manage = [plan.manage_bias] * 3
        model.policy.action_net.bias.copy_(torch.tensor([0.0, plan.entry_bias, plan.entry_bias, *manage]))
    model.learn(plan.steps, callback=_Progress(report))
    return model, normalised


def export(model: Any, normalised: VecNormalize, plan: Plan, ground: Ground, out: Path) -> Figures:
    """Write the bundle to `out`, judged on the held-out bars by the very network that will run."""
    facts = _facts(plan, ground, None)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, statistics = Path(folder) / "MaskablePPO.zip", Path(folder) / "statistics.npz"
        model.save(checkpoint)
        running = normalised.obs_rms
        clip, epsilon = normalised.clip_obs, normalised.epsilon
        np.savez(statistics, mean=running.mean, variance=running.var, clip=clip, epsilon=epsilon)
        export_bundle(checkpoint, out, facts, statistics=statistics)
        figures = judge(out, ground)
        export_bundle(checkpoint, out, _facts(plan, ground, figures), statistics=statistics)
    return figures


def judge(path: Path, ground: Ground) -> Figures:
    """Figures of the bundle at `path` on the held-out bars."""
    bundle = load_bundle(
        path,
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        bar_minutes=1,
        has_volume=True,
    )
    choose = bundle.network.choose
    return evaluate(ground.held_out, ground.terms, ground.risk_cents, lambda obs, mask: choose(obs, mask)[0])


def _facts(plan: Plan, ground: Ground, figures: Figures | None) -> Facts:
    own = {name: value for name, value in msgspec.structs.asdict(plan).items() if not isinstance(value, tuple)}
    return Facts(
        name="embedded",
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        bar_minutes=1,
        needs_volume=True,
        market=MARKET,
        phase=PHASE,
        label=Label.SYNTHETIC,
        note=NOTE,
        training=_span(ground.tape, plan.bars_seed),
        code_version=__version__,
        evaluation=_evaluation(figures, _span(ground.held_out, plan.held_out_seed)) if figures else None,
        seed=plan.seed,
        hyper_parameters=own | {"learning_rate_schedule": "linear to 0", "risk_cents_of_one_r": ground.risk_cents},
        versions={"sb3-contrib": sb3_contrib.__version__},
    )


def _span(tape: TrainingTape, seed: int) -> Span:
    return Span(
        description=f"synthetic {MARKET} market, one-minute bars, default parameters",
        sha256=tape.sha256,
        first_session=tape.dates[0],
        last_session=tape.dates[1],
        seed=seed,
    )


def _evaluation(figures: Figures, bars: Span) -> Evaluation:
    return Evaluation(
        bars=bars,
        trades=figures.trades,
        net_r=round(figures.net_r, 3),
        win_rate=round(figures.win_rate, 4),
        mean_episode_r=round(figures.net_r / figures.episodes, 4),
        episodes=figures.episodes,
    )


def main(
    steps: Annotated[int, typer.Option(help="Choices to train on.")] = Plan().steps,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")] = EMBEDDED,
) -> None:
    """Train, judge and export; one line of JSON a rollout."""

    def report(line: dict[str, object]) -> None:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    plan = Plan(steps=steps)
    ground = prepare(plan)
    report({"bars": len(ground.tape.bars.atrs), "starts": len(ground.tape.starts), "r_cents": ground.risk_cents})
    model, normalised = train(plan, ground, report)
    figures = export(model, normalised, plan, ground, out)
    report({"held_out": msgspec.to_builtins(figures), "bundle": out.name})


if __name__ == "__main__":
    typer.run(main)
