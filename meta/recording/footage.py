"""Recordings of families that are simulated elsewhere, kept as pictures.

Pliant cannot build their worlds again without importing their code, and a file must not
make it do so: what a replay shows is all in the file.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from jaxtyping import Float, UInt8
from torch import Tensor

from meta.experience.rollout import collect
from meta.machine.archives import read_arrays
from meta.machine.files import opened, write_atomically
from meta.recording.taping import check_asked, phases_of
from meta.training.trained import Adapted, Trained
from tasks.contract import Step, TaskFamily
from tasks.external import ExternalEnv, ExternalFamily
from tasks.registry import find_family
from tasks.strict_json import parse_json

FORMAT = "pliant-footage-1"
MOMENTS = 60
"""Largest number of steps between which a picture is kept."""
LARGEST = 2**30
"""Size up to which a file is read [bytes]."""
_EPISODES = ("before", "after")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """One episode, acted by the most probable action."""

    pictures: UInt8[np.ndarray, "moment y x 3"]
    """The first, one every `Footage.every` steps, and the last."""
    rewards: Float[np.ndarray, "time"]
    success: bool
    """At the episode's end."""
    adapt_episodes: int
    """Episodes that the policy had adapted on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Footage:
    """One task and two episodes of it."""

    family: str
    summary: str
    split: str
    parameters: Mapping[str, float | str]
    """The task's hidden parameters."""
    units: Mapping[str, str]
    """Their units, where they have one."""
    every: int
    """Steps between pictures."""
    fps: float
    """Steps a second, in real time."""
    policy: str
    """Place that the policy was loaded from, as the user named it."""
    before: Take
    after: Take

    @property
    def episodes(self) -> tuple[Take, Take]:
        """The episode before adaptation, and the one after it."""
        return self.before, self.after

    def save(self, path: Path) -> None:
        """Write the file that `load_footage` reads.

        Raises:
            OSError: if it cannot be written; an existing one is then untouched.
        """
        names = ("family", "summary", "split", "every", "fps", "policy")
        about: dict[str, Any] = {name: getattr(self, name) for name in names}
        about |= {"format": FORMAT, "parameters": dict(self.parameters)}
        about["units"] = dict(self.units)
        arrays: dict[str, Any] = {}
        for name, take in zip(_EPISODES, self.episodes, strict=True):
            arrays |= {f"{name}_pictures": take.pictures}
            arrays |= {f"{name}_rewards": take.rewards}
            about[name] = [take.success, take.adapt_episodes]
        content = io.BytesIO()
        np.savez_compressed(content, about=np.array(json.dumps(about)), **arrays)
        write_atomically(path, content.getvalue())


def is_footage(path: Path) -> bool:
    """Return whether a file is footage; a recording of states is none.

    Raises:
        OSError: if it cannot be read.
    """
    with opened(path, LARGEST) as file:
        try:
            return "before_pictures.npy" in zipfile.ZipFile(file).namelist()
        # of a broken file, zipfile raises more kinds than it documents
        except Exception:
            return False


def load_footage(path: Path) -> Footage:
    """Read footage; nothing that it names is imported.

    Raises:
        ValueError: if the file is truncated, corrupt, too large, or no footage.
        OSError: if it cannot be read.
    """
    arrays = read_arrays(path, largest=LARGEST)
    try:
        about = parse_json(str(arrays["about"].item()))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        before, after = (_take(arrays, about, name) for name in _EPISODES)
        every, fps = int(about["every"]), float(about["fps"])
        if every < 1 or not 0 < fps < 1e6:
            raise ValueError(f"a picture every {every} steps, {fps} steps a second")
        return Footage(
            **{n: str(about[n]) for n in ("family", "summary", "split", "policy")},
            parameters=dict(about["parameters"]),
            units=dict(about["units"]),
            every=every,
            fps=fps,
            before=before,
            after=after,
        )
    # zipfile and numpy raise more kinds than they document
    except Exception as error:
        raise ValueError(f"{path} is no valid footage: {error}") from error


def film(
    trained: Trained,
    *,
    split: str = "held-out",
    seed: int = 0,
    adapt_episodes: int = 5,
) -> Footage:
    """Run a policy of an external family on one task, before and after adapting.

    Args:
        trained: the policy.
        split: where the task comes from.
        seed: decides the task and the episodes.
        adapt_episodes: episodes that it adapts on, all at once.

    Raises:
        ValueError: for an unknown split, a negative seed, no episode to adapt on, or a
            family whose environment is not drawn.
    """
    check_asked(seed, adapt_episodes)
    family = find_family(trained.cfg.family)
    if not isinstance(family, ExternalFamily):
        raise TypeError(f"{family.name} is recorded by its states")
    [task] = family.sample(split, seed, 1)
    stage = _Stage(family, oracle=trained.cfg.told)
    stage.assign([task])
    phases = phases_of(trained, family, task, seed, adapt_episodes)
    before, after = (_run(stage, adapted, seed, count) for adapted, count in phases)
    return Footage(
        family=family.name,
        summary=family.summary,
        split=task.split,
        parameters={p.name: task.parameters[p.name] for p in family.hidden},
        units=_units(family),
        every=stage.every,
        fps=float(stage.envs.metadata.get("render_fps", 30)),
        policy=trained.source,
        before=before,
        after=after,
    )


class _Stage(ExternalEnv):
    """One world whose episode is filmed."""

    def __init__(self, family: ExternalFamily, *, oracle: bool) -> None:
        super().__init__(family, worlds=1, oracle=oracle)
        self.every = -(-family.horizon // MOMENTS)
        self.pictures: list[UInt8[np.ndarray, "y x 3"]] = []
        self._time, self._ended = 0, False

    def reset(self, rng: torch.Generator, worlds: Tensor | None = None) -> Tensor:
        obs = super().reset(rng, worlds)
        self.pictures, self._time, self._ended = self.frames(), 0, False
        return obs

    def step(self, action: Tensor) -> Step:
        step = super().step(action)
        if self._ended:
            return step
        self._time += 1
        self._ended = bool((step.terminated | step.truncated)[0])
        if self._ended or self._time % self.every == 0:
            # a world that begins anew in the step of its end is drawn anew already
            gone = self._ended and self.mode is AutoresetMode.SAME_STEP
            self.pictures += self.pictures[-1:] if gone else self.frames()
        return step


def _run(stage: _Stage, adapted: Adapted, seed: int, count: int) -> Take:
    rng = torch.Generator().manual_seed(seed)
    rollout = collect(stage, adapted.act, rng, explore=False)
    steps = int(rollout.valid.sum())
    return Take(
        pictures=np.stack(stage.pictures),
        rewards=rollout.reward[:steps, 0].double().numpy(),
        success=bool(rollout.success.item()),
        adapt_episodes=count,
    )


def _units(family: TaskFamily) -> dict[str, str]:
    units = {p.name: getattr(p, "unit", "") for p in family.hidden}
    return {name: unit for name, unit in units.items() if unit not in ("", "1")}


def _take(arrays: Mapping[str, Any], about: Mapping[str, Any], name: str) -> Take:
    pictures, rewards = arrays[f"{name}_pictures"], arrays[f"{name}_rewards"]
    shaped = pictures.ndim == 4 and pictures.shape[-1] == 3 and pictures.size > 0
    if pictures.dtype != np.uint8 or not shaped:
        raise ValueError(f"{name}_pictures are no pictures")
    if rewards.dtype != np.float64 or rewards.ndim != 1 or not len(rewards):
        raise ValueError(f"{name}_rewards is no row of doubles")
    if not np.isfinite(rewards).all():
        raise ValueError("an episode's numbers must be finite")
    success, count = about[name]
    return Take(
        pictures=pictures,
        rewards=rewards,
        success=bool(success),
        adapt_episodes=int(count),
    )
