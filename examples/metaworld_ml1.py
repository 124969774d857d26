"""Meta-World's ML1 as a family: reach for a goal that is not observed.

Meta-World asks for an older MuJoCo than Pliant has, and works with Pliant's:

    pip install scipy && pip install --no-deps metaworld==3.1.1
    pliant train examples.metaworld_ml1:Reach --tasks 10
    pliant train examples.metaworld_ml1:Reach --tasks 10 --method dr
    pliant train examples.metaworld_ml1:Reach --tasks 10 --method oracle
    pliant evaluate runs/examples.metaworld_ml1.Reach-maml-seed0 --beside \
        runs/examples.metaworld_ml1.Reach-{dr,oracle}-seed0 --tasks 50 \
        --family examples.metaworld_ml1:Reach

The 50 tasks that ML1 trains on are `train`, the 50 it tests on `held-out`. An episode
of a task always begins in the same state, and counts as a success if it ends in one;
Meta-World's own evaluation counts a success anywhere along the way. Meta-World keeps
goal and object apart, so that the object, which is seen, says a little of the goal: the
leak probe may notice it.
"""

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import metaworld
import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from metaworld.sawyer_xyz_env import SawyerMocapBase

from tasks.external import ExternalFamily
from tasks.parameters import Scalar, Value
from tasks.task import Task

NAME = "reach-v3"
WELD = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0)
"""Numbers of a weld constraint, one more than Meta-World writes."""


def _reset_mocap_welds(self: SawyerMocapBase) -> None:
    welds = self.model.eq_type == mujoco.mjtEq.mjEQ_WELD
    self.model.eq_data[welds, : len(WELD)] = WELD


SawyerMocapBase.reset_mocap_welds = _reset_mocap_welds

ML1 = metaworld.ML1(NAME, seed=0)
TASKS = {"train": ML1.train_tasks, "held-out": ML1.test_tasks}
MAKE = ML1.train_classes[NAME]
RANGES = MAKE()._random_reset_space
NUMBERS = tuple(f"{what}_{axis}" for what in ("object", "goal") for axis in "xyz")


def _numbers(task: metaworld.Task) -> tuple[float, ...]:
    """Place of a task's object, and of its goal [m]."""
    return tuple(pickle.loads(task.data)["rand_vec"].tolist())


BY_NUMBERS = {_numbers(task): task for tasks in TASKS.values() for task in tasks}


class Reach(ExternalFamily):
    """ML1 reach-v3, cut to 100 of its 500 steps: a goal is 40 steps away at most."""

    horizon = 100
    obs_dim = 39
    action_dim = 4
    max_worlds = 100  # each takes 20 MB
    parameters = tuple(
        Scalar(name=n, unit="m", low=low, high=high, hidden=n.startswith("goal"))
        for n, low, high in zip(
            NUMBERS, RANGES.low.tolist(), RANGES.high.tolist(), strict=True
        )
    )

    def make(self, worlds: int) -> SyncVectorEnv:
        """Meta-World's environments, one after the other."""
        return SyncVectorEnv([MAKE] * worlds, autoreset_mode=AutoresetMode.DISABLED)

    def set_tasks(
        self,
        envs: Any,  # noqa: ANN401
        worlds: Sequence[int],
        tasks: Sequence[Mapping[str, Value]],
    ) -> None:
        """Give each environment the task of ML1 with these numbers."""
        for world, task in zip(worlds, tasks, strict=True):
            envs.envs[world].set_task(BY_NUMBERS[tuple(task[n] for n in NUMBERS)])

    def sample(self, split: str, seed: int, count: int) -> list[Task]:
        """Tasks of ML1's fixed lists, each once before any comes again."""
        super().sample(split, seed, 0)  # refuses what a family has no tasks for
        order = np.random.default_rng(seed).permutation(len(TASKS[split]))
        return [
            Task(
                family=self.name,
                split=split,
                seed=int(i),
                parameters=dict(zip(NUMBERS, _numbers(TASKS[split][i]), strict=True)),
            )
            for i in np.resize(order, count)
        ]
