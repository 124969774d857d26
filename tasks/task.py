"""A task: one draw from a family's distribution, and its JSON."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tasks.parameters import (
    SPLITS,
    Parameter,
    Value,
    current_split,
    split_parts,
)
from tasks.splits import all_splits
from tasks.strict_json import BROKEN, parse_json


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
    _check_split(split, parameters)
    base, alone = split_parts(split)
    # the family and split are part of the entropy: no two splits share a stream
    entropy = [zlib.crc32(family.encode()), SPLITS.index(base), seed]
    if alone:
        entropy.append(zlib.crc32(alone.encode()))
    rng = np.random.default_rng(entropy)
    drawn = {
        p.name: p.sample(base if alone in ("", p.name) else "held-out", rng)
        for p in parameters
    }
    return Task(family=family, split=split, seed=seed, parameters=drawn)


def read_task(text: str) -> Task:
    """Read a task's JSON, of whatever family; its parameters are not checked.

    Raises:
        ValueError: if the text is no task, or its hash does not match.
    """
    try:
        raw: dict[str, Any] = parse_json(text)
        split = current_split(str(raw["split"]))
        values = {k: _value(k, v) for k, v in raw["parameters"].items()}
        said, seed, family = raw.get("hash"), int(raw["seed"]), str(raw["family"])
    except BROKEN as error:
        raise ValueError(f"not a task: {error}") from error
    task = Task(family=family, split=split, seed=seed, parameters=values)
    if said not in (None, task.hash):
        raise ValueError(
            f"the task's hash {said} does not match its parameters ({task.hash})"
        )
    return task


def parse_task(text: str, family: str, parameters: Sequence[Parameter]) -> Task:
    """Read a task's JSON for a family.

    Raises:
        ValueError: if the text is no task, of another family, lacks a parameter, has
            one too many or one out of its kind, or its hash does not match.
    """
    task = read_task(text)
    if task.family != family:
        raise ValueError(f"a task of family {task.family!r}, expected {family!r}")
    names = [p.name for p in parameters]
    if set(task.parameters) != set(names):
        raise ValueError(
            f"a task of {family!r} has the parameters {', '.join(names)}; "
            f"got {', '.join(task.parameters) or 'none'}"
        )
    _check_split(task.split, parameters)
    checked = {p.name: p.check(task.parameters[p.name]) for p in parameters}
    return replace(task, parameters=checked)


def _check_split(split: str, parameters: Sequence[Parameter]) -> None:
    known = all_splits(SPLITS, parameters)
    if split not in known:
        raise ValueError(f"unknown split {split!r}; splits: {', '.join(known)}")


def _value(name: str, value: object) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"parameter {name!r} is a number or a name, got {value!r}")
