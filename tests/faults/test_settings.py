"""Every setting of every method is refused before training, or trains to the end."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from meta.recipes.registry import make_config
from meta.training.build import make_training
from meta.training.config import TrainCfg, replaced
from tasks.external import ExternalFamily
from tasks.parameters import Scalar

ADAPTERS = ("rma", "sysid", "varibad", "varibad-explore")
ADAPTING = {"adapt_episodes": ()}
EXTREMES: dict[type, tuple[Any, ...]] = {
    bool: (False, True),
    int: (-1, 0, 1, 2**31, 2**63),
    float: (-1.0, 0.0, 1e-30, 1e30, math.inf, math.nan),
    tuple: ((), (0,), (-1,), (1,), (1, 2), (2**31,)),
}
PIECES = ((), ("goal/1",), ("goal/2",), ("goal=-1:0", "goal=0:1"), ("goal/0",), ("",))
"""Looked at with the family, when a run is made."""


class Points(VectorEnv[Any, Any, Any]):
    """Points on a line, for two steps."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (1,), np.float32)
        self.single_action_space = Box(-1, 1, (1,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.goals, self.at = np.zeros(num_envs), np.zeros((num_envs, 1), np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, Any]:
        self.at = np.zeros_like(self.at)
        return self.at, {}

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        self.at = self.at + actions
        never = np.zeros(self.num_envs, dtype=bool)
        return self.at, -np.abs(self.at[:, 0] - self.goals), never, never, {}


class Line(ExternalFamily):
    """Find a goal on a line."""

    horizon, obs_dim, action_dim = 2, 1, 1
    parameters = (Scalar(name="goal", unit="m", low=-1.0, high=1.0),)

    def make(self, worlds: int) -> Points:
        return Points(worlds)

    def set_tasks(self, envs: Any, worlds: Any, tasks: Any) -> None:
        envs.goals[worlds] = [task["goal"] for task in tasks]


def tiny(method: str) -> TrainCfg:
    small = {"iterations": 2, "tasks": 1, "episodes": 2, "measure_rounds": 1}
    small |= {"hidden": (2,), "threads": 1}
    small |= {"inner_steps": 1, "width": 8} if method == "rl2" else ADAPTING
    small |= {"epochs": 1} | ({"regression_epochs": 1} if method in ADAPTERS else {})
    return replaced(make_config(Line.name, method), small)


def values(cfg: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings, those in settings too, and their extremes."""
    for field in fields(cfg):
        value = getattr(cfg, field.name)
        if field.name == "pieces":
            yield from ((field.name, pieces) for pieces in PIECES)
        elif is_dataclass(value):
            yield from values(value)
        elif type(value) in EXTREMES:
            yield from ((field.name, extreme) for extreme in EXTREMES[type(value)])


DIVERGING = (
    *("rate", "inner_rate", "initial_std", "min_std", "inner_kl", "unadapted"),
    *("value_weight", "kl_weight", "explorer_std"),
)
"""Settings whose extremes let training diverge, which is said where it happens."""


@pytest.mark.parametrize(
    "method", ["maml", "dr-sb3", "sysid", "rl2", "varibad-explore"]
)
def test_every_legal_setting_trains_to_the_end(method: str) -> None:
    cfg = tiny(method)
    trained, failed = 0, list[tuple[str, Any, str]]()
    for name, value in values(cfg):
        try:
            made = replaced(cfg, {name: value})
        except ValueError:
            continue
        assert made.worlds <= 4096 or name in ("tasks", "episodes")
        with warnings.catch_warnings():
            # numbers that torch and NumPy wonder about
            warnings.simplefilter("ignore")
            try:
                run = make_training(made)
                for _ in range(min(made.iterations, 2 if method in ADAPTERS else 1)):
                    run.step()
            except ValueError as error:
                if name != "pieces":
                    failed.append((name, value, repr(error)[:200]))
            except FloatingPointError:
                if name not in DIVERGING:
                    failed.append((name, value, "diverged"))
            except Exception as error:
                failed.append((name, value, repr(error)[:200]))
        trained += 1
    assert not failed
    assert trained > 20
