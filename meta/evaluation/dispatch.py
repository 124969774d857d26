"""Plans of who does which job, from what each robot has told about itself.

A robot tells a belief about what is hidden of itself: a steering that pulls to one
side, tyres that slip. A *job* is the state that an episode starts in. A robot's worth
in a job is the mean return of an informed policy there, over imagined training tasks
weighed by its belief. The plan of the greatest total worth that keeps all orders is
found by a solver (Kuhn 1955, "The Hungarian method for the assignment problem"), and no
other is ever returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from meta.experience.rollout import collect
from meta.language.belief import DOUBT, Belief, log_weights
from meta.language.orders import Orders
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator, derived_seed
from meta.training.trained import Trained
from tasks.contract import check_alone
from tasks.env import Env
from tasks.family import Family
from tasks.registry import make_family
from tasks.task import Task

IMAGINED = 512
"""Training tasks that beliefs weigh."""
SAMPLES = 8
"""Tasks that a robot's worth is measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An assignment of robots to jobs."""

    jobs: dict[str, str]
    """Job of each robot that has one."""
    worth: Float[np.ndarray, "robot job"]
    """Return that is expected of each robot in each job."""
    total: float
    """Sum of what is expected of the plan."""


def make_plan(
    worth: Float[np.ndarray, "robot job"],
    robots: Sequence[str],
    jobs: Sequence[str],
    orders: Orders | None = None,
) -> Plan:
    """Return the plan of the greatest total worth that keeps all orders.

    As many jobs are done as there are robots for them, and no robot has two.

    Args:
        worth: of each robot in each job.
        robots: their names.
        jobs: their names.
        orders: what it has to obey.

    Raises:
        ValueError: for orders about others or that contradict each other, or that leave
            some job undone for which there is a robot.
        ImportError: without SciPy.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(
            "plans are made by SciPy: pip install 'pliant[teams]'"
        ) from error

    orders = orders or Orders()
    orders.check(robots, jobs)
    there = [i for i, robot in enumerate(robots) if robot not in orders.away]
    barred = np.array([[_barred(r, j, orders) for j in jobs] for r in robots], bool)
    # worse than any plan without it, and still finite: rows are told apart
    worst = (1 + np.abs(worth).max(initial=0)) * 4 * (1 + min(worth.shape))
    rows, columns = linear_sum_assignment(
        np.where(barred, -worst, worth)[there], maximize=True
    )
    chosen = zip(rows.tolist(), columns.tolist(), strict=True)
    pairs: list[tuple[int, int]] = [(there[row], column) for row, column in chosen]
    if any(barred[pair] for pair in pairs):
        raise ValueError(
            f"no plan keeps all orders: {', '.join(robots[i] for i in there)} cannot "
            f"do {min(len(there), len(jobs))} of {', '.join(jobs)}"
        )
    return Plan(
        jobs={robots[i]: jobs[j] for i, j in pairs},
        worth=worth,
        total=float(sum(worth[pair] for pair in pairs)),
    )


def expected(
    policy: Trained,
    beliefs: Sequence[Belief],
    jobs: int,
    *,
    seed: int = 0,
    doubt: float = DOUBT,
    threads: int = 0,
) -> Float[np.ndarray, "robot job"]:
    """Return what each robot is expected to earn in each job.

    Args:
        policy: what an informed robot does: the family's oracle.
        beliefs: of each robot about itself.
        jobs: number of jobs.
        seed: decides the jobs, and the imagined tasks.
        doubt: share of doubt about each belief.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for a policy that is not told what is hidden, a team's, or a belief
            about a parameter that its family does not have.
    """
    if not policy.cfg.told:
        raise ValueError(
            f"worth is that of an oracle, such as shipped:{policy.cfg.family}-oracle, "
            f"and {policy.source} is none"
        )
    family = make_family(policy.cfg.family)
    check_alone(family, "a dispatcher")
    imagined = family.sample("train", derived_seed(seed, 1), IMAGINED)
    values = family.values(imagined)
    numbers = torch.stack([values[p.name].double() for p in family.hidden], -1)
    uniform = torch.arange(SAMPLES).double() / SAMPLES + 0.5 / SAMPLES
    some: list[Task] = []
    for belief in beliefs:
        weights = log_weights(belief, family.hidden, numbers, doubt).softmax(0)
        # systematic draws: equal steps along the cumulated weights
        drawn = torch.searchsorted(weights.cumsum(0), uniform).tolist()
        some += [imagined[min(i, IMAGINED - 1)] for i in drawn]
    found = earned(policy, some, jobs, seed=seed, threads=threads)
    return found.reshape(len(beliefs), SAMPLES, jobs).mean(1)


def _barred(robot: str, job: str, orders: Orders) -> bool:
    """Tell whether a robot may not do a job, or one of the two has another."""
    others = {(r, j) for r, j in orders.must if (r == robot) != (j == job)}
    return bool(others) or (robot, job) in orders.never


def earned(
    policy: Trained,
    tasks: Sequence[Task],
    jobs: int,
    *,
    seed: int = 0,
    threads: int = 0,
) -> Float[np.ndarray, "task job"]:
    """Return what robots earn in each of some jobs.

    Args:
        policy: what they do.
        tasks: what is hidden of each of them.
        jobs: number of jobs.
        seed: decides the jobs, which are the same for all.
        threads: simulator threads; 0 means one per CPU.
    """
    family = make_family(policy.cfg.family)
    worlds = len(tasks) * jobs
    env = _SameStarts(
        family, worlds=worlds, oracle=policy.cfg.told, threads=threads, each=jobs
    )
    env.assign([task for task in tasks for _ in range(jobs)])
    rng = derived_generator(seed, 0, device=env.device)
    with simulator_threads():
        run = collect(env, policy.begin(len(tasks)).act, rng, explore=False)
    return run.returns.reshape(-1, jobs).double().cpu().numpy()


class _SameStarts(Env):
    """Worlds of which each group of `each` starts in the same states."""

    def __init__(
        self, family: Family, *, worlds: int, oracle: bool, threads: int, each: int
    ) -> None:
        super().__init__(family, worlds=worlds, oracle=oracle, threads=threads)
        self._each = each

    def reset(
        self, rng: torch.Generator, worlds: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "world obs"]:
        if worlds is not None:
            return super().reset(rng, worlds)
        begun = rng.get_state()
        obs = super().reset(rng)
        for group in torch.arange(self.worlds).split(self._each):
            rng.set_state(begun)
            obs = super().reset(rng, group)
        return obs
