"""Episodes collected in a batch: one per world, and their layout per task."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meta.experience.schedule import Changes
from policies.acting import Act, Transition, with_memory
from policies.distribution import Distribution, distribution, parts
from tasks.contract import Step, Worlds
from tasks.rows import AGENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One episode in every world. Steps after an episode's end are not `valid`."""

    obs: Float[Tensor, "time world obs"]
    next_obs: Float[Tensor, "time world obs"]
    action: Float[Tensor, "time world action"]
    """Actions as drawn; the environment clips them."""
    mean: Float[Tensor, "time world action"]
    """Means of the Gaussian that drew the actions; of a categorical, its logits."""
    log_std: Float[Tensor, "time world action"] | None
    """None for a categorical."""
    reward: Float[Tensor, "time world"]
    valid: Bool[Tensor, "time world"]
    success: Bool[Tensor, "world"]
    """At the episode's end."""
    fault: Bool[Tensor, "world"]

    @property
    def policy(self) -> Distribution:
        """The distribution that the actions were drawn from."""
        return distribution(self.mean, self.log_std)

    @property
    def returns(self) -> Float[Tensor, "world"]:
        """Undiscounted return of each episode."""
        return (self.reward * self.valid).sum(0)

    @property
    def env_steps(self) -> int:
        """Steps the simulator took, counted or not."""
        return self.reward.numel()


class Experience(NamedTuple):
    """A rollout laid out per task, for functions that are mapped over tasks."""

    obs: Float[Tensor, "task episode time obs"]
    next_obs: Float[Tensor, "task episode time obs"]
    action: Float[Tensor, "task episode time action"]
    old: Distribution
    """The distribution that the actions were drawn from."""
    reward: Float[Tensor, "task episode time"]
    valid: Float[Tensor, "task episode time"]
    """1 where the step belongs to an episode, else 0."""
    lived: Float[Tensor, "task episode time"] | None = None
    """`valid` as collected, which stays when `limit_episodes` leaves episodes out; none
    if it is the same."""
    others: Float[Tensor, "task episode time others"] | None = None
    """In the training of a team, what the other agents of the world observed."""

    @property
    def whole(self) -> "Experience":
        """All that was collected, the episodes that were left out too."""
        return self if self.lived is None else self._replace(valid=self.lived)


def collect(
    env: Worlds,
    act: Act,
    rng: torch.Generator,
    *,
    explore: bool | Bool[Tensor, "world"] = True,
    changes: Changes | None = None,
) -> Rollout:
    """Run one episode in every world.

    Args:
        env: worlds that have their tasks.
        act: observations to distributions.
        rng: draws the initial states and the actions.
        explore: sample actions, in all worlds or in some; otherwise take the most
            probable.
        changes: what the tasks become in the course of the episode, if they change.
    """
    rows: dict[str, list[Tensor]] = {}
    obs = env.reset(rng)
    running = torch.ones(env.worlds, dtype=torch.bool, device=obs.device)
    success = torch.zeros_like(running)
    fault = torch.zeros_like(running)
    acting = with_memory(act)
    memory = acting.start(env.worlds)
    with torch.no_grad():
        for time in range(env.horizon):
            if changes and time in changes:
                env.assign(changes[time])
            policy = acting.policy(obs, memory)
            action = _drawn(policy, rng, explore)
            step = env.step(action)
            _append(rows, obs, action, policy, step, running)
            taken = Transition(obs, action, step.reward, step.obs, running.float())
            memory = acting.watch(memory, taken)
            success = torch.where(running, step.success, success)
            fault = fault | (running & step.fault)
            running = running & ~(step.terminated | step.truncated)
            obs = step.obs
    stacked: dict[str, Any] = {"log_std": None}
    stacked |= {name: torch.stack(values) for name, values in rows.items()}
    return Rollout(**stacked, success=success, fault=fault)


def _drawn(
    policy: Distribution, rng: torch.Generator, explore: bool | Bool[Tensor, "world"]
) -> Float[Tensor, "world action"]:
    if isinstance(explore, Tensor):
        return torch.where(explore[:, None], policy.sample(rng), policy.mode)
    return policy.sample(rng) if explore else policy.mode


def _append(
    rows: dict[str, list[Tensor]],
    obs: Tensor,
    action: Tensor,
    policy: Distribution,
    step: Step,
    running: Tensor,
) -> None:
    mean, log_std = parts(policy.whole())
    row = {
        "obs": obs,
        "next_obs": step.obs,
        "action": action,
        "mean": mean,
        "reward": step.reward,
        "valid": running,
    }
    if log_std is not None:
        row["log_std"] = log_std
    for name, value in row.items():
        rows.setdefault(name, []).append(value)


def concatenate(rollouts: list[Rollout], tasks: int) -> Rollout:
    """Several rollouts of the same worlds as one, the episodes of a task together."""

    def join(name: str) -> Tensor | None:
        pieces = [getattr(r, name) for r in rollouts]
        if pieces[0] is None:
            return None
        axis = 0 if pieces[0].ndim == 1 else 1
        split = [p.unflatten(axis, (tasks, -1)) for p in pieces]
        return torch.cat(split, axis + 1).flatten(axis, axis + 1)

    joined: dict[str, Any] = {n: join(n) for n in Rollout.__dataclass_fields__}
    return Rollout(**joined)


def mapped(e: Experience, change: Callable[[Tensor], Tensor]) -> Experience:
    """Return experience in which every tensor is what it is changed to."""
    there = {k: v for k, v in e._asdict().items() if k != "old" and v is not None}
    made = {k: change(v) for k, v in there.items()}
    return Experience(**made, old=type(e.old)(*map(change, e.old)))


def some_episodes(e: Experience, keep: slice) -> Experience:
    """Return some episodes of each task."""
    return mapped(e, lambda x: x[:, keep])


def with_others(e: Experience, team: int) -> Experience:
    """Return experience of teams with what the others of each agent's world observed.

    Args:
        e: experience, in which the tasks of a team's agents lie side by side.
        team: number of agents; the others of the first follow in their order, and so
            on in a ring.
    """
    if team == 1:
        return e
    agents = e.obs.unflatten(0, (-1, team))
    others = [agents.roll(-i, dims=1) for i in range(1, team)]
    return e._replace(others=torch.cat(others, dim=-1).flatten(0, 1))


def by_task(rollout: Rollout, tasks: int) -> Experience:
    """Lay a rollout of `tasks` equal groups of worlds out per task."""

    def lay(x: Tensor) -> Tensor:
        return x.unflatten(1, (tasks, -1)).movedim(0, 2).contiguous()

    valid = lay(rollout.valid).float()
    return Experience(
        obs=lay(rollout.obs),
        next_obs=lay(rollout.next_obs),
        action=lay(rollout.action),
        old=distribution(
            lay(rollout.mean),
            None if rollout.log_std is None else lay(rollout.log_std),
        ),
        reward=lay(rollout.reward),
        valid=valid,
        lived=valid,
    )


def task_groups(env: Worlds) -> tuple[str, ...]:
    """Return the hashes of the tasks that worlds are grouped by.

    Raises:
        ValueError: unless equally many worlds of each task lie side by side, and the
            tasks of a team's agents in the order of its agents.
    """
    grouped = [(task.hash, len(list(run))) for task, run in groupby(env.tasks)]
    runs = [count for _, count in grouped]
    if not runs or set(runs) != {runs[0]}:
        raise ValueError(
            "worlds are grouped by task: give each task equally many worlds, side by "
            f"side; got groups of {', '.join(map(str, runs)) or 'no task'}"
        )
    agents = env.family.agents
    whose = tuple(task.parameters.get(AGENT) for task in env.tasks[:: runs[0]])
    if agents and whose != agents * (len(whose) // len(agents)):
        raise ValueError(
            "the tasks of a team's agents lie side by side: "
            f"{', '.join(agents)}, and so on; got {', '.join(map(str, whose))}"
        )
    return tuple(name for name, _ in grouped)
