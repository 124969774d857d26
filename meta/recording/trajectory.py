"""Recordings: a task before and after adaptation, kept as physics states.

A file holds no pixels: a replay builds the task's world again, and can check
that simulating it from the first state gives the others, bit for bit.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from mujoco.batch import MODEL_FIELDS

from meta.experience.rollout import Rollout, collect
from meta.machine.archives import read_arrays
from meta.machine.devices import simulator_threads
from meta.machine.files import write_atomically
from meta.training.trained import Adapted, Trained
from policies.acting import Act
from robots.sim.cpu import CpuSimulator
from robots.sim.tape import Tape
from tasks.contract import TaskFamily
from tasks.env import Env
from tasks.objects.object_set import Objects, ObjectSet, as_set, parse_set
from tasks.registry import make_env, make_family
from tasks.simulators import make_simulator
from tasks.strict_json import BROKEN, parse_json
from tasks.task import Task, read_task

FORMAT = "pliant-recording-1"
LARGEST = 2**30
"""Size up to which a recording's arrays are read [bytes]."""
MOST_EPISODES = 10_000
_EPISODES = ("before", "after")
_ARRAYS = ("states", "controls", "actions", "rewards")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """One episode, acted by the mean."""

    states: Float[np.ndarray, "instant state"]
    """Rows of mjSTATE_INTEGRATION, the initial one first."""
    controls: Float[np.ndarray, "time nu"]
    """Held over each step."""
    actions: Float[np.ndarray, "time action"]
    rewards: Float[np.ndarray, "time"]
    success: bool
    """At the episode's end."""
    adapt_episodes: int
    """Episodes that the policy had adapted on."""
    seed: int
    """Decided the initial state."""

    def __post_init__(self) -> None:
        """Refuse what no episode can be."""
        steps = len(self.rewards)
        lengths = (len(self.states) - 1, len(self.controls), len(self.actions))
        if steps < 1 or set(lengths) != {steps}:
            raise ValueError(
                f"an episode of {steps} steps cannot have {lengths[0] + 1} states, "
                f"{lengths[1]} controls and {lengths[2]} actions"
            )
        if not all(np.isfinite(getattr(self, name)).all() for name in _ARRAYS):
            raise ValueError("an episode's numbers must be finite")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """One task and two episodes of it, from the same initial state."""

    task: Task
    model_hash: str
    """`world_hash` of the world that the episodes were simulated in."""
    policy: str
    """Place that the policy was loaded from, as the user named it."""
    before: Trajectory
    after: Trajectory
    objects: ObjectSet | None = None
    """Objects that the task's is one of, if it is not the family's own."""

    @property
    def episodes(self) -> tuple[Trajectory, Trajectory]:
        """The episode before adaptation, and the one after it."""
        return self.before, self.after

    def save(self, path: Path) -> None:
        """Write the file that `load_recording` reads.

        Raises:
            OSError: if it cannot be written; an existing one is then untouched.
        """
        about: dict[str, Any] = {
            "format": FORMAT,
            "task": self.task.to_json(),
            "model_hash": self.model_hash,
            "policy": self.policy,
            "object": self.objects and self.objects.to_json(),
        }
        arrays: dict[str, Any] = {}
        for name, e in zip(_EPISODES, self.episodes, strict=True):
            arrays |= {f"{name}_{key}": getattr(e, key) for key in _ARRAYS}
            about[name] = {
                "success": e.success,
                "adapt_episodes": e.adapt_episodes,
                "seed": e.seed,
            }
        content = io.BytesIO()
        np.savez(content, about=np.array(json.dumps(about)), **arrays)
        write_atomically(path, content.getvalue())


def load_recording(path: Path) -> Recording:
    """Read a recording; nothing that it names is imported.

    A task of a family that is simulated elsewhere is read as it stands; one of Pliant's
    own is checked.

    Raises:
        ValueError: if the file is truncated, corrupt, too large, or no recording.
        OSError: if it cannot be read.
    """
    arrays = read_arrays(path, largest=LARGEST)
    try:
        about: dict[str, Any] = parse_json(str(arrays["about"].item()))
        kind = about.get("format")
    except BROKEN as error:
        raise ValueError(f"{path} is no recording: {error}") from error
    if kind != FORMAT:
        raise ValueError(f"{path} is not a recording of format {FORMAT!r}")
    try:
        before, after = (_trajectory(arrays, about, name) for name in _EPISODES)
        # recordings from before there were objects have none
        stored = about.get("object")
        objects = parse_set(stored) if stored else None
        task = read_task(about["task"])
        if ":" not in task.family:
            task = make_family(task.family, objects=objects).parse(about["task"])
        return Recording(
            task=task,
            model_hash=str(about["model_hash"]),
            policy=str(about["policy"]),
            before=before,
            after=after,
            objects=objects,
        )
    except BROKEN as error:
        raise ValueError(f"{path} is not a valid recording: {error}") from error


def record(
    trained: Trained,
    *,
    split: str = "held-out",
    seed: int = 0,
    adapt_episodes: int = 5,
    task: Task | None = None,
    objects: Objects | None = None,
) -> Recording:
    """Run a policy on one task, before and after adapting to it.

    Both episodes start in the same state. A policy that does not adapt (DR, oracle)
    gives the same episode twice.

    Args:
        trained: the policy.
        split: where the task comes from.
        seed: decides the task and the episodes.
        adapt_episodes: episodes that it adapts on, all at once, as in evaluation.
        task: run this one instead of drawing one.
        objects: what the task is about, instead of the family's own objects.

    Raises:
        ValueError: for an unknown split, a task of another family, a negative seed, or
            no episode to adapt on.
    """
    check_asked(seed, adapt_episodes)
    family = make_family(trained.cfg.family, objects=objects)
    tape = Tape(make_simulator(family, 1, threads=1))
    env = Env(family, worlds=family.team, oracle=trained.cfg.told, simulator=tape)
    [task] = [task] if task else family.sample(split, seed, 1)
    env.assign(family.of_team(task))
    with simulator_threads():
        phases = phases_of(trained, family, task, seed, adapt_episodes)
        before, after = (_run(env, tape, p.act, seed, count) for p, count in phases)
    return Recording(
        task=task,
        model_hash=world_hash(tape.sim),
        policy=trained.source,
        before=before,
        after=after,
        objects=as_set(objects),
    )


def check_asked(seed: int, adapt_episodes: int) -> None:
    """Raise ValueError for numbers that nothing can be recorded with."""
    if not (0 <= seed < 2**62 and 1 <= adapt_episodes <= MOST_EPISODES):
        raise ValueError(
            f"need seed >= 0 and adapt_episodes >= 1, got {seed} and {adapt_episodes}; "
            f"at most {MOST_EPISODES:,} episodes, and a seed of 62 bits"
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


def world_hash(sim: CpuSimulator) -> str:
    """Return a hash of world 0: substeps, and its model to six significant digits.

    Rounded, because compilers on other processors differ in the last bits.
    """
    model = sim.model_of(0)
    digest = hashlib.sha256(f"{sim.substeps}".encode())
    for name in sorted(MODEL_FIELDS):
        value = np.asarray(attrgetter(name)(model))
        if value.dtype.kind == "f":
            mantissa, exponent = np.frexp(value.astype(np.float64))
            rounded = np.ldexp(np.round(mantissa * 2**20), exponent - 20)
            # the rest of a cancellation has no digits, and zero no sign
            value = np.where(np.abs(rounded) < 1e-12, 0.0, rounded)
        digest.update(f"{name} {value.shape} ".encode() + value.tobytes())
    return digest.hexdigest()


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


def _run(env: Env, tape: Tape, act: Act, seed: int, adapted: int) -> Trajectory:
    rollout = collect(env, act, torch.Generator().manual_seed(seed), explore=False)
    return taped(tape, rollout, adapted=adapted, seed=seed)


def _trajectory(
    arrays: Mapping[str, Any], about: Mapping[str, Any], name: str
) -> Trajectory:
    found = {key: arrays[f"{name}_{key}"] for key in _ARRAYS}
    for key, value in found.items():
        axes = 1 if key == "rewards" else 2
        if value.dtype != np.float64 or value.ndim != axes:
            raise ValueError(f"{name}_{key} is not an array of {axes} axes of doubles")
    return Trajectory(
        **found,
        success=bool(about[name]["success"]),
        adapt_episodes=int(about[name]["adapt_episodes"]),
        seed=int(about[name]["seed"]),
    )
