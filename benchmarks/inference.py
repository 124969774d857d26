"""Tell what keeps an inferring policy from the oracle: inference, or how it acts.

    python -m benchmarks.inference insert grasp runs/mine

The policies of a family that ship, or one of your own, on the same tasks. *Told the
truth* is the acting policy, as it was tuned, on the latents of the true parameters:
what it lacks there, it has not learned on its share of the env steps. *Explained* is
the share of the latents' variance over the tasks that is inferred after so many
episodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Float
from tyro.conf import Positional

from benchmarks.study import text_of
from meta.evaluation.calibration import known, lived
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.statistics import Scores, estimate, mean
from meta.experience.moments import standardised
from meta.learners.adapter import Adapter
from meta.learners.told import adapter_of
from meta.machine.devices import simulator_threads
from meta.theta import Params, Theta
from meta.training.trained import Trained, load_trained, shipped_policies
from policies.acting import Act
from policies.distribution import Distribution
from tasks.registry import FAMILIES, find_family
from tasks.task import Task

EPISODES = (1, 3, 5)
_AT_ONCE = 50
"""Tasks, so that the worlds of any family hold their episodes."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    names: Positional[tuple[str, ...]]
    """Families of lone agents, whose policies of all training seeds are looked at, or
    single policies."""
    method: str = "explore"
    """The method, of families."""
    split: str = "held-out"
    """Split that the tasks come from."""
    tasks: int = 100
    """Tasks."""
    seed: int = 0
    """Decides the tasks and the initial states."""


class Knowing:
    """The acting policy, as it was tuned, of an adapter that is right from the start.

    Args:
        adapter: the adapter in whose place it is.
        latent: the true latents of the tasks, in order.
    """

    inner_steps = 0

    def __init__(
        self, adapter: Adapter[Any], latent: Float[torch.Tensor, "task latent"]
    ) -> None:
        self.adapter, self.latent = adapter, latent

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return what is true."""
        return {"latent": self.latent[:tasks]}

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """Act on it."""
        latent = adaptation["latent"]

        def policy(obs: Float[torch.Tensor, "world obs"]) -> Distribution:
            each = latent.repeat_interleave(len(obs) // len(latent), dim=0)
            return self.adapter.decide(theta, standardised(theta, obs), each)

        return policy


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    after = "after " + ", ".join(map(str, EPISODES))
    print(
        f"| policies | {after} | told the truth | oracle | explained {after} | seeds |"
    )
    print("|---|---|---:|---:|---|---:|")
    with simulator_threads():
        for name in o.names:
            print(_row(o, name), flush=True)


def _row(o: Options, name: str) -> str:
    ships = name in FAMILIES
    policies = trained(name, o.method) if ships else [load_trained(name)]
    family = find_family(policies[0].cfg.family)
    oracles = trained(family.name, "oracle")
    tasks = family.sample(o.split, o.seed, o.tasks)
    own = np.stack([curve(tasks, p, EPISODES, o.seed) for p in policies], axis=1)
    truths = [known(p, family, tasks)[1] for p in policies]
    each = list(zip(policies, truths, strict=True))
    told = np.stack([_told(tasks, p, z, o.seed) for p, z in each])
    oracle = np.stack([curve(tasks, p, (0,), o.seed)[0] for p in oracles])
    explained = np.mean([_explained(tasks, p, z, o.seed) for p, z in each], axis=0)
    labels = [family.object_of(task) for task in tasks]

    def text(scores: Scores) -> str:
        rng = np.random.default_rng(o.seed)
        return text_of(estimate([scores], mean, rng, clusters=labels))

    returns = "; ".join(map(text, own))
    parts = ", ".join(f"{x:.2f}" for x in explained)
    row = (name, returns, text(told), text(oracle), parts, str(len(policies)))
    return f"| {' | '.join(row)} |"


def trained(family: str, method: str) -> list[Trained]:
    """Return the policies that ship, one per training seed."""
    return [load_trained(f"shipped:{n}") for n in shipped_policies(family, method)]


def curve(
    tasks: Sequence[Task], policy: Trained, episodes: tuple[int, ...], seed: int
) -> Float[np.ndarray, "k task"]:
    """Return a policy's returns after each number of episodes."""
    cfg = EvaluationCfg(seed=seed, tasks=len(tasks), episodes=episodes)
    rows = Bench(tasks, cfg).curve(policy, episodes, Ledger())
    return np.stack([row.returns.double().numpy() for row in rows])


def _told(
    tasks: Sequence[Task],
    policy: Trained,
    truth: Float[torch.Tensor, "task latent"],
    seed: int,
) -> Float[np.ndarray, "task"]:
    """Return the acting policy's returns, told the truth."""
    found: list[Scores] = []
    for i in range(0, len(tasks), _AT_ONCE):
        part = slice(i, i + _AT_ONCE)
        knowing: Any = Knowing(adapter_of(policy.learner), truth[part])
        learned = replace(policy, learner=knowing)
        found.append(curve(tasks[part], learned, (0,), seed)[0])
    return np.concatenate(found)


def _explained(
    tasks: Sequence[Task],
    policy: Trained,
    truth: Float[torch.Tensor, "task latent"],
    seed: int,
) -> list[float]:
    """Return the share of the latent's variance that is inferred, by episodes."""
    family = find_family(policy.cfg.family)
    _, inferred = lived(policy, family, tasks, seed, episodes=EPISODES)
    spread = (truth - truth.mean(0)).square().mean()
    left = [(z - truth).square().mean() for z in inferred[-len(EPISODES) :]]
    return [float(1 - x / spread) for x in left]


if __name__ == "__main__":
    main()
