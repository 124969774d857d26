"""Measure what knowing grips is worth on `drive-fork`, by trying every plan.

    python -m benchmarks.fork

No policy is asked: every plan of a grid, a way and a speed, is driven in the simulator,
once to the end and once braking hard as soon as the car is off the middle of the bend.
*Told* is the best plan of each task. *Robust* is what is best over training tasks of
the same layout, and *robust, and brakes* the same of the plans that feel the bend.
*Told of one way* knows the grip of the way to the left, in quarters of the range: it is
fitted to the very tasks that it is measured on, and so the most that can be done. *Lied
to* is the best plan for a task where one way is another task's, of the same layout.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import tyro
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.study import text_of
from meta.evaluation.measure import MEASURE
from meta.evaluation.statistics import estimate, mean, share_lost
from meta.experience.rollout import collect
from meta.machine.seeds import derived_generator
from policies.gaussian import Gaussian
from tasks.driving.drive_fork import ROOM, DriveFork
from tasks.driving.ways import WAYS
from tasks.env import Env

QUARTERS = 4
"""Kinds of grip that are told apart."""
FELT = 0.4
"""Share of the way from the middle of a bend to its edge where a plan may brake."""
ALONG, ASIDE = 1, 5
"""Where the observation has the way made good, and how far the car is off it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    tasks: int = 100
    """Tasks of the training split that plans are chosen on, and of the held-out one."""
    plans: int = 11
    """Speeds that are asked for, evenly spaced."""
    seed: int = 31
    """Decides the tasks, and the initial states."""


@dataclass(frozen=True, kw_only=True)
class Driven:
    """Some tasks, and the returns of all plans."""

    returns: Float[np.ndarray, "task brakes way plan"]
    chance: Float[np.ndarray, "task"]
    """Returns of random actions."""
    layouts: NDArray[np.int64]
    left: NDArray[np.int64]
    """Kind of grip of the way to the left."""
    seen: NDArray[np.int64]
    """Layout and half of the radii: what can be seen."""


def main() -> None:
    """Measure, and print the table."""
    torch.set_num_threads(1)
    o = tyro.cli(Options)
    train, held_out = (drive(o, split) for split in ("train", "held-out"))
    told = held_out.returns.max((1, 2, 3))
    print(f"drive-fork, held-out, {o.tasks} tasks, seed {o.seed}\n")
    print("| plans | return | told is worth more by |\n|---|---:|---:|")
    rng = np.random.default_rng(o.seed)
    earned = {
        "told": told,
        "told of one way": told_of_one(held_out),
        "best for all, by layout and radius": told_no_way(held_out),
        "robust": robust(train, held_out, brakes=False),
        "robust, and brakes": robust(train, held_out, brakes=True),
        **{f"lied to about {w}": lied_to(held_out, i) for i, w in enumerate(WAYS)},
        "random": held_out.chance,
    }
    for name, scores in earned.items():
        level = estimate([scores[None]], mean, rng)
        three = [(told - scores)[None], told[None], held_out.chance[None]]
        worth = estimate(three, share_lost, rng)
        print(f"| {name} | {text_of(level)} | {text_of(worth)} |")


def drive(o: Options, split: str) -> Driven:
    """Drive every plan, from the same initial states."""
    family = DriveFork()
    tasks = family.sample(split, o.seed, o.tasks)
    env = Env(family, worlds=len(tasks), threads=1)
    env.assign(tasks)
    returns = np.zeros((o.tasks, 2, 2, o.plans))
    for brakes, way, plan in np.ndindex(2, 2, o.plans):
        speed = float(np.linspace(-1, 1, o.plans)[plan])

        act = partial(_fixed, brakes=brakes, way=1 - 2 * way, speed=speed)
        rng = derived_generator(o.seed, MEASURE)
        lived = collect(env, act, rng, explore=False)
        returns[:, brakes, way, plan] = lived.returns
    rng = derived_generator(o.seed, MEASURE)
    chance = collect(env, _random, rng, explore=True).returns.numpy()
    values = family.values(tasks)
    left, radius = family.reveal(values)[:, 0].numpy(), values["radius"].numpy()
    layouts = values["layout"].long().numpy()
    return Driven(
        returns=returns,
        chance=chance.astype(np.float64),
        layouts=layouts,
        left=np.digitize(left, np.linspace(-1, 1, QUARTERS + 1)[1:-1]),
        seen=2 * layouts + (radius > np.median(radius)),
    )


def robust(train: Driven, held_out: Driven, *, brakes: bool) -> NDArray[np.float64]:
    """Return what the plans that are best in training earn, by layout.

    Args:
        train: tasks that plans are chosen on.
        held_out: tasks that they are measured on.
        brakes: whether they are those that feel the bend.
    """
    return _by_kind(
        train.returns[:, int(brakes)],
        train.layouts,
        held_out.returns[:, int(brakes)],
        held_out.layouts,
    )


def told_of_one(tasks: Driven) -> NDArray[np.float64]:
    """Return what the plans earn that are best by layout and one way's grip."""
    kinds = QUARTERS * tasks.layouts + tasks.left
    flat = tasks.returns.reshape(len(kinds), -1)
    return _by_kind(flat, kinds, flat, kinds)


def told_no_way(tasks: Driven) -> NDArray[np.float64]:
    """Return what the plans earn that are best by layout and half of the radii."""
    flat = tasks.returns.reshape(len(tasks.returns), -1)
    return _by_kind(flat, tasks.seen, flat, tasks.seen)


def lied_to(tasks: Driven, way: int) -> NDArray[np.float64]:
    """Return what is earned in the belief that one way is another task's."""
    believed = tasks.returns.copy()
    for layout in np.unique(tasks.layouts):
        rows = np.flatnonzero(tasks.layouts == layout)
        believed[rows, :, way] = tasks.returns[np.roll(rows, 1), :, way]
    best = believed.reshape(len(believed), -1).argmax(1)
    return tasks.returns.reshape(len(best), -1)[np.arange(len(best)), best]


def _by_kind(
    train: Float[np.ndarray, "task ..."],
    train_kinds: NDArray[np.int64],
    returns: Float[np.ndarray, "task ..."],
    kinds: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return what each task earns by the plan that is best for its kind in training."""
    train = train.reshape(len(train), -1)
    flat, earned = returns.reshape(len(returns), -1), np.zeros(len(returns))
    for kind in np.unique(kinds):
        plan = train[train_kinds == kind].mean(0).argmax()
        earned[kinds == kind] = flat[kinds == kind, plan]
    return earned


def _fixed(obs: Tensor, *, brakes: float, way: float, speed: float) -> Gaussian:
    """Ask for a way and a speed, or brake where the car is off the middle."""
    off = (obs[:, ALONG] > 0) & (obs[:, ASIDE].abs() > 3 * FELT * ROOM)
    slow = torch.where(off & (brakes > 0), -1.0, speed)
    action = torch.stack([torch.full_like(slow, way), slow], dim=-1)
    return Gaussian(action, torch.full((1,), -9.0))


def _random(obs: Tensor) -> Gaussian:
    return Gaussian(obs.new_zeros(len(obs), 2), torch.zeros(1))


if __name__ == "__main__":
    main()
