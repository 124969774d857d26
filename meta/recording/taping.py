"""Recordings made: a policy runs on one task, before and after adapting to it."""

from collections.abc import Sequence

import numpy as np
import torch

from meta.experience.changes import draw_changes
from meta.experience.rollout import Rollout, collect
from meta.experience.schedule import Changes, schedule_over
from meta.machine.devices import simulator_threads
from meta.recording.trajectory import MOST_EPISODES, Recording, Trajectory, world_hash
from meta.training.trained import Adapted, Trained
from policies.acting import Act
from robots.sim.tape import Tape
from tasks.contract import TaskFamily
from tasks.env import Env
from tasks.objects.object_set import Objects, as_set
from tasks.registry import make_env, make_family
from tasks.simulators import make_simulator
from tasks.task import Task


def record(
    trained: Trained,
    *,
    split: str = "held-out",
    seed: int = 0,
    adapt_episodes: int = 5,
    task: Task | None = None,
    objects: Objects | None = None,
    change: str | None = None,
) -> Recording:
    """Run a policy on one task, before and after adapting to it.

    Both episodes start in the same state. A policy that does not adapt (DR, oracle)
    gives the same episode twice.

    Args:
        trained: the policy.
        split: where the task comes from.
        seed: decides the task and the episodes.
        adapt_episodes: episodes that it adapts on, all at once, as in evaluation.
        task: run this one instead of drawing one; it does not change.
        objects: what the task is about, instead of the family's own objects.
        change: how the task changes in the course of both episodes, if it does: one of
            `meta.experience.schedule.KINDS`. It adapts before.

    Raises:
        ValueError: for an unknown split or change, a task of another family, a negative
            seed, no episode to adapt on, or a change where nothing that matters can
            change in mid-episode.
    """
    check_asked(seed, adapt_episodes)
    family = make_family(trained.cfg.family, objects=objects)
    tape = Tape(make_simulator(family, 1, threads=1))
    env = Env(family, worlds=family.team, oracle=trained.cfg.told, simulator=tape)
    [task] = [task] if task else family.sample(split, seed, 1)
    changes: Changes = {}
    if change:
        schedule = schedule_over(family.horizon, change)
        before, later = draw_changes(family, split, seed, family.team)
        changes = schedule.changes(family, before, later)
        task = before[0]
    team = family.of_team(task)
    env.assign(team)
    model_hash = world_hash(tape.sim)
    with simulator_threads():
        phases = phases_of(trained, family, task, seed, adapt_episodes)
        runs = [
            _run(env, tape, team, changes, p.act, seed, count) for p, count in phases
        ]
    return Recording(
        task=task,
        model_hash=model_hash,
        policy=trained.source,
        before=runs[0],
        after=runs[1],
        objects=as_set(objects),
        changes={step: tasks[0] for step, tasks in changes.items()},
    )


def check_asked(seed: int, adapt_episodes: int) -> None:
    """Raise ValueError for numbers that nothing can be recorded with."""
    if not 0 <= seed < 2**62:
        raise ValueError(f"need 0 <= seed < {2**62:,}, got {seed}")
    if not 1 <= adapt_episodes <= MOST_EPISODES:
        raise ValueError(
            f"need 1 <= adapt_episodes <= {MOST_EPISODES:,}, got {adapt_episodes}"
        )


def phases_of(
    trained: Trained, family: TaskFamily, task: Task, seed: int, adapt_episodes: int
) -> tuple[tuple[Adapted, int], tuple[Adapted, int]]:
    """Return a policy before and after adapting, each with the episodes it took."""
    team = family.of_team(task)
    before = trained.begin(len(team)), 0
    if not trained.learner.inner_steps:
        return before, before
    oracle = trained.cfg.told
    worlds = adapt_episodes * len(team)
    lived = make_env(family, worlds=worlds, oracle=oracle, threads=1)
    lived.assign([one for one in team for _ in range(adapt_episodes)])
    # not the stream that the recorded episodes start from
    return before, (trained.adapt(lived, seed=2**32 + seed), adapt_episodes)


def taped(tape: Tape, rollout: Rollout, *, adapted: int, seed: int) -> Trajectory:
    """Return the one episode of a rollout, and the states that were taped of it.

    Args:
        tape: the simulator that it ran in.
        rollout: of one world; of a team, actions lie side by side, and rewards are the
            mean.
        adapted: episodes that the policy had adapted on.
        seed: decided the initial state.
    """
    steps = int(rollout.valid.any(1).sum())
    return Trajectory(
        states=np.concatenate(tape.states[: steps + 1]),
        controls=np.concatenate(tape.controls[:steps]),
        actions=rollout.action[:steps].flatten(1).double().numpy(),
        rewards=(rollout.reward * rollout.valid)[:steps].mean(1).double().numpy(),
        success=bool(rollout.success.all()),
        adapt_episodes=adapted,
        seed=seed,
    )


def _run(
    env: Env,
    tape: Tape,
    tasks: Sequence[Task],
    changes: Changes,
    act: Act,
    seed: int,
    adapted: int,
) -> Trajectory:
    env.assign(tasks)
    rng = torch.Generator().manual_seed(seed)
    rollout = collect(env, act, rng, explore=False, changes=changes)
    return taped(tape, rollout, adapted=adapted, seed=seed)
