"""`trader bench train`: what training costs on this machine. Synthetic bars, process CPU time, medians of one run.

`env_steps_per_s` is the environment alone under random valid choices. `train_steps_per_s_per_core` is a whole update,
rollout and passes, of this project's learner; `sb3_default_steps_per_s_per_core` that of MaskablePPO as the library
sets it up (n_steps 2048, batches of 64, 10 passes, DummyVecEnv of single environments), with the same network.
"""

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from msgspec import Struct

from trader.adapters.columns import concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.commands.bench import FIRST_SESSION, SEED, machine
from trader.commands.common import settings_from
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import UsageError
from trader.observation import FULL_SIZE
from trader.options import FileOptions

try:
    import numpy as np
    import stable_baselines3
    import torch
    from sb3_contrib import MaskablePPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from trader.training.env import Shaping, TradingEnv
    from trader.training.ground import Ground, prepare_ground, unscaled
    from trader.training.gym_view import GymView
    from trader.training.learner import Learner, make_model
    from trader.training.normalise import random_choices
    from trader.training.plan import Plan, load_plan
except ModuleNotFoundError as error:
    if error.name not in {"torch", "stable_baselines3", "sb3_contrib", "gymnasium"}:
        raise
    MISSING = f"`trader bench train` needs {error.name}, which is not installed: pip install 'nq-trader[rl]'"
else:
    MISSING = ""

SESSIONS = 40
ACTIONS = 6
SB3_ENVS = 8
SB3_STEPS = 2_048
"""Of all environments together: the library's n_steps with one."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is measured: hidden layers, and how often."""

    hidden: tuple[int, ...]
    repeats: int


def run(hidden: str, repeats: int, *, as_json: bool) -> None:
    """Measure the three speeds and print them with what they were measured on."""
    if MISSING:
        raise UsageError(MISSING)
    wanted = Wanted(hidden=_widths(hidden), repeats=repeats)
    plan = load_plan(None, [f"network.hidden={list(wanted.hidden)}", "run.torch_threads=1"])
    ground = _ground()
    document = {
        "env_steps_per_s": _env_speed(ground, plan, repeats),
        "train_steps_per_s_per_core": _train_speed(ground, plan, repeats),
        "sb3_default_steps_per_s_per_core": _sb3_speed(ground, wanted),
        "hidden": list(wanted.hidden),
        "inputs": FULL_SIZE,
        "actions": ACTIONS,
        "envs": plan.ppo.envs,
        "batch_size": plan.ppo.batch_size,
        "epochs": plan.ppo.epochs,
        "repeats": repeats,
        "machine": machine() | {"torch": str(torch.__version__), "sb3": stable_baselines3.__version__},
    }
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
        return
    for name, value in document.items():
        sys.stdout.write(f"{name:<34} {value}\n")


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split("-"))
    except ValueError:
        msg = f"--hidden {text}: expected widths such as 512-256-128"
        raise UsageError(msg) from None


def _ground() -> "Ground":
    market, calendar = instrument("NQ"), Calendar.load()
    bars = generate(SEED, FIRST_SESSION, SESSIONS, calendar=calendar, market=SyntheticMarket(instrument=market))
    return prepare_ground(settings_from(FileOptions()), concatenate(list(bars)), calendar, market)


def _env(ground: "Ground", count: int, seed: int) -> "TradingEnv":
    """Raw observations through the scaling's arithmetic, as in training."""
    return TradingEnv(
        ground,
        actions=ACTIONS,
        inputs=FULL_SIZE,
        count=count,
        seed=seed,
        scaling=unscaled()._replace(clip=5.0),
        shaping=Shaping(breach=1.0),
    )


def _env_speed(ground: "Ground", plan: "Plan", repeats: int) -> int:
    env = _env(ground, plan.ppo.envs, SEED)
    env.reset()
    rng = np.random.default_rng(SEED)
    steps = 200

    def once() -> float:
        """Choices are drawn beforehand as far as masks allow, and not counted."""
        spent = 0.0
        for _ in range(steps):
            chosen = random_choices(env.action_masks(), rng)
            began = time.process_time()
            env.step(chosen)
            spent += time.process_time() - began
        return spent

    return _median_speed(once, steps * plan.ppo.envs, repeats)


def _train_speed(ground: "Ground", plan: "Plan", repeats: int) -> int:
    model = make_model(plan, _env(ground, plan.ppo.envs, SEED), seed=SEED)
    updates = Learner(model, plan, total_steps=1 << 40).updates()
    return _median_speed(lambda: _cpu_s(lambda: next(updates)), plan.ppo.rollout, repeats)


def _sb3_speed(ground: "Ground", wanted: Wanted) -> int:
    made = [GymView(_env(ground, 1, SEED + n)) for n in range(SB3_ENVS)]
    layers = list(wanted.hidden)
    model = MaskablePPO(
        "MlpPolicy",
        DummyVecEnv([lambda env=env: env for env in made]),
        n_steps=SB3_STEPS // SB3_ENVS,
        policy_kwargs={"net_arch": {"pi": layers, "vf": layers}, "activation_fn": torch.nn.Tanh},
        seed=SEED,
        device="cpu",
    )
    return _median_speed(lambda: _cpu_s(lambda: model.learn(SB3_STEPS)), SB3_STEPS, wanted.repeats)


def _cpu_s(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _median_speed(once: Callable[[], float], steps: int, repeats: int) -> int:
    """Steps a second of process CPU time; the first run compiles and is left out."""
    once()
    return round(steps / median(once() for _ in range(repeats)))
