"""Recordings: a task before and after adaptation, kept as physics states.

A file holds no pixels: a replay builds the task's world again, and can check
that simulating it from the first state gives the others, bit for bit.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from mujoco.batch import MODEL_FIELDS

from meta.machine.archives import read_arrays
from meta.machine.files import write_atomically
from robots.sim.cpu import CpuSimulator
from tasks.objects.object_set import ObjectSet, parse_set
from tasks.registry import FAMILIES, make_family
from tasks.strict_json import BROKEN, parse_json
from tasks.task import Task, read_task

FORMAT = "pliant-recording-1"
LARGEST = 2**30
"""Size up to which a recording's arrays are read [bytes]."""
MOST_EPISODES = 10_000
LONGEST_REPORT = 2000
"""Most characters of a report."""
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
    changes: Mapping[int, Task] = field(default_factory=dict[int, Task])
    """Steps of both episodes at which the task becomes another, and which."""
    report: str = ""
    """Words about the adaptation, which are shown with it."""

    def __post_init__(self) -> None:
        """Refuse a report that no picture could show."""
        if len(self.report) > LONGEST_REPORT or not self.report.isprintable():
            raise ValueError(
                f"a report is one line of at most {LONGEST_REPORT:,} characters that "
                f"can be printed, got {len(self.report):,}: {self.report!r:.60}"
            )

    @property
    def family(self) -> str:
        """Name of the family that the task is of."""
        return self.task.family

    @property
    def episodes(self) -> tuple[Trajectory, Trajectory]:
        """The episode before adaptation, and the one after it."""
        return self.before, self.after

    def save(self, path: Path | str) -> None:
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
            "changes": {k: t.to_json() for k, t in self.changes.items()},
            "report": self.report,
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


def load_recording(path: Path, family: str | None = None) -> Recording:
    """Read a recording; nothing that it names is imported.

    A task of a user's own family is read as it stands, unless the user names the
    family; one of Pliant's own is checked.

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
        changes = dict[int, Task]()
        own = ":" in task.family
        if task.family == family if own else task.family in FAMILIES:
            known = make_family(task.family, objects=objects)
            task = known.parse(about["task"])
            # recordings from before there were changes have none
            later = dict(about.get("changes", {}))
            changes = {int(k): known.parse(t) for k, t in later.items()}
        return Recording(
            task=task,
            model_hash=str(about["model_hash"]),
            policy=str(about["policy"]),
            before=before,
            after=after,
            objects=objects,
            changes=changes,
            # nor reports
            report=str(about.get("report", "")),
        )
    except BROKEN as error:
        raise ValueError(f"{path} is not a valid recording: {error}") from error


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
