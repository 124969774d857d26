"""A task: one draw from a family's distribution, and its JSON."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tasks.parameters import SPLITS, Parameter, Value, current_split


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: the parameters that decide its object, dynamics and goal."""

    family: str
    split: str
    seed: int
    parameters: Mapping[str, Value]

    @property
    def hash(self) -> str:
        """Sixteen hex digits that two tasks share only if their worlds are equal."""
        content = json.dumps([self.family, dict(self.parameters)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the task as JSON, with its hash."""
        return json.dumps(asdict(self) | {"hash": self.hash}, sort_keys=True)


def sample_task(
    family: str, parameters: Sequence[Parameter], split: str, seed: int
) -> Task:
    """Draw the task that (family, split, seed) stands for.

    Raises:
        ValueError: for an unknown split.
    """
    split = current_split(split)
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; splits: {', '.join(SPLITS)}")
    # the family and split are part of the entropy: no two splits share a stream
    rng = np.random.default_rng(
        [zlib.crc32(family.encode()), SPLITS.index(split), seed]
    )
    drawn = {p.name: p.sample(split, rng) for p in parameters}
    return Task(family=family, split=split, seed=seed, parameters=drawn)


def parse_task(text: str, family: str, parameters: Sequence[Parameter]) -> Task:
    """Read a task's JSON for a family.

    Raises:
        ValueError: if the text is no task, of another family, lacks a parameter, has
            one too many or one out of its kind, or its hash does not match.
    """
    try:
        raw: dict[str, Any] = json.loads(text)
        split, seed, values = (
            current_split(str(raw["split"])),
            int(raw["seed"]),
            dict(raw["parameters"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"not a task: {error}") from error
    if raw.get("family") != family:
        raise ValueError(f"a task of family {raw.get('family')!r}, expected {family!r}")
    names = [p.name for p in parameters]
    if set(values) != set(names):
        raise ValueError(
            f"a task of {family!r} has the parameters {', '.join(names)}; "
            f"got {', '.join(values) or 'none'}"
        )
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; splits: {', '.join(SPLITS)}")
    checked = {p.name: p.check(values[p.name]) for p in parameters}
    task = Task(family=family, split=split, seed=seed, parameters=checked)
    if raw.get("hash", task.hash) != task.hash:
        raise ValueError(
            f"the task's hash {raw['hash']} does not match its parameters ({task.hash})"
        )
    return task
