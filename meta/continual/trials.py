"""Trials: episodes of training tasks that senses are fitted to, and those who act."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from meta.experience.rollout import Experience, by_task, collect
from meta.learner import exploring as explorers
from meta.library.embedding import joined, tasks_at_once
from meta.library.library import one_task
from meta.theta import Params
from meta.training.trained import Adapted, Trained
from policies.acting import RecurrentPolicy, with_memory
from policies.distribution import Distribution, distribution, parts
from tasks.contract import TaskFamily
from tasks.registry import make_env
from tasks.rows import AGENT
from tasks.task import Task


class Trials(NamedTuple):
    """Episodes of training tasks acted by beliefs, right ones and wrong ones."""

    policy: Trained
    family: TaskFamily
    tasks: Sequence[Task]
    rng: torch.Generator
    threads: int

    @property
    def ways(self) -> int:
        """Number of ways in which a belief is tried; see `of`."""
        return min(2, self.family.team)

    def of(self, turns: Sequence[int], beliefs: Sequence[Adapted]) -> list[Experience]:
        """Run episodes acted by some beliefs, turned as `acted` says.

        In a team all agents act at first, and then each does beside others that
        explore, which is no change of its task.
        """
        runs = (self.acted, self.beside)[: self.ways]
        pairs = list(zip(beliefs, turns, strict=True))
        return [run(*pair) for run in runs for pair in pairs]

    def acted(self, belief: Adapted, turn: int, agent: str = "") -> Experience:
        """Run an episode of each task by the belief about the one so many before.

        Args:
            belief: about all of them.
            turn: so many.
            agent: of a team, the one that acts while the others explore; all act if
                none is named.
        """
        turned = {k: v.roll(turn, 0) for k, v in belief.adaptation.items()}
        lived: list[Experience] = []
        size = tasks_at_once(self.family)
        for i in range(0, len(self.tasks), size):
            part = self.tasks[i : i + size]
            own = {k: v[i : i + len(part)] for k, v in turned.items()}
            env = make_env(self.family, worlds=len(part), threads=self.threads)
            env.assign(part)
            explore: bool | Tensor = False
            act = self.policy.learner.act(self.policy.theta, own)
            if agent:
                others = [task.parameters[AGENT] != agent for task in part]
                explore = torch.tensor(others, device=env.device)
                start = self.policy.begin(len(part)).adaptation
                act = mixed(self.policy, own, start, explore)
            rollout = collect(env, act, self.rng, explore=explore)
            lived.append(by_task(rollout, len(part)))
        return joined(lived, axis=0)

    def beside(self, belief: Adapted, turn: int) -> Experience:
        """Run the same, each agent's beside others that explore."""
        runs = {a: self.acted(belief, turn, a) for a in self.family.agents}
        acting = [runs[str(task.parameters[AGENT])] for task in self.tasks]
        return joined([one_task(run, i) for i, run in enumerate(acting)], axis=0)


def mixed(
    policy: Trained, beliefs: Params, starts: Params, explores: Bool[Tensor, "row"]
) -> RecurrentPolicy:
    """Return the policy of all rows at once: some explore, and the others act.

    Args:
        policy: the policy of all.
        beliefs: adaptations that rows act by.
        starts: those that they explore by.
        explores: whether they do.
    """
    learner, theta = policy.learner, policy.theta
    acting = with_memory(learner.act(theta, beliefs))
    exploring = with_memory(explorers(learner, theta, starts))
    chosen = explores[:, None]

    def decide(obs: Tensor, memory: Tensor) -> Distribution:
        act, explore = (
            parts(p.policy(obs, memory).whole()) for p in (acting, exploring)
        )
        mean = torch.where(chosen, explore[0], act[0])
        if act[1] is None or explore[1] is None:
            return distribution(mean, None)
        return distribution(mean, torch.where(chosen, explore[1], act[1]))

    rows = len(explores)
    memory = torch.where(chosen, exploring.start(rows), acting.start(rows))
    return RecurrentPolicy(memory=memory, policy=decide, watch=acting.watch)
