"""Env steps a second of RL² and of sb3-contrib's RecurrentPPO, on the same family.

    pip install --no-deps sb3-contrib==2.9.2
    python -m benchmarks.recurrent insert

Both have as many worlds, env steps an iteration, epochs, minibatches and recurrent
units, and one memory for policy and value (RecurrentPPO's default has two, which is
slower). Rates are of the CPU time of whole iterations, simulation included.
"""

import warnings
from dataclasses import replace

import torch
import tyro

from benchmarks.row import Row, cpu_seconds
from meta.learners.rl2_cfg import Rl2Cfg
from meta.recipes.registry import make_config
from meta.training.build import make_trainer
from tasks.registry import make_env, make_family

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from sb3_contrib import RecurrentPPO

    from tasks.adapters.sb3 import TaskVecEnv

WORLDS, UNITS, EPOCHS, MINIBATCHES = 100, 64, 10, 4
TURNS = 3
"""Iterations that are timed, after a first one that warms up."""


def rl2_over_recurrent_ppo(name: str) -> Row:
    """Return how many times RecurrentPPO's rate is RL²'s."""
    cfg = make_config(name, "rl2")
    assert isinstance(cfg.learner, Rl2Cfg)
    learner = replace(
        cfg.learner,
        width=UNITS,
        epochs=EPOCHS,
        minibatches=MINIBATCHES,
        max_kl=1e9,  # no epoch is left out
    )
    ours = make_trainer(replace(cfg, learner=learner, tasks=WORLDS, threads=1))
    family = make_family(name)
    steps = family.horizon * (learner.inner_steps + 1)
    theirs = RecurrentPPO(
        "MlpLstmPolicy",
        TaskVecEnv(make_env(family, worlds=WORLDS, threads=1), seed=0, finite=True),
        n_steps=steps,
        batch_size=steps * WORLDS // MINIBATCHES,
        n_epochs=EPOCHS,
        policy_kwargs={
            "net_arch": list(cfg.hidden),
            "lstm_hidden_size": UNITS,
            "enable_critic_lstm": False,
            "shared_lstm": True,
        },
        device="cpu",
    )
    calls = (ours.step, lambda: theirs.learn(steps * WORLDS, reset_num_timesteps=False))
    mine, other = (steps * WORLDS / spent for spent in cpu_seconds(*calls, turns=TURNS))
    return Row(
        what=f"RL² on {name} over sb3-contrib's RecurrentPPO",
        ratio=mine / other,
        least=5.0,
        figures=f"{mine:,.0f} / {other:,.0f} env steps a second of CPU",
    )


def main(family: str = "insert", /) -> None:
    """Print the row."""
    torch.set_num_threads(1)
    row = rl2_over_recurrent_ppo(family)
    print(f"{row.what}: {row.ratio:.1f} ({row.bar}); {row.figures}")


if __name__ == "__main__":
    tyro.cli(main)
