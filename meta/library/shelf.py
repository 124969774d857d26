"""A library on disk: `library.json`, and the safetensors file that it names.

The tensors are written first, under the name of their checksum, and the JSON that names
them last: a save that is killed leaves the library that was there before. No pickle is
read or written.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from meta.experience.rollout import Experience
from meta.library.embedding import Embedding
from meta.library.library import Entry, Library
from meta.machine.files import read_bytes, read_json, write_atomically, write_json
from meta.theta import group, prefixed
from policies.distribution import distribution, parts
from tasks.strict_json import BROKEN

FORMAT = "pliant-library-1"
INDEX = "library.json"
_LARGEST = 2**34
"""Bytes of tensors that are read at most."""
_PLAIN = ("obs", "next_obs", "action", "reward", "valid")
_EMBEDDING = ("mean", "projection", "nearest")


def save_library(library: Library, folder: str | Path) -> None:
    """Write a library into a folder, in the place of one that is there.

    Raises:
        ValueError: for a place that is no regular file or folder, or a `library.json`
            there that is no library's.
        OSError: if it cannot be written; a library that is there is then untouched.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / INDEX
    old = _checked_index(path, read_json(path))["tensors"] if path.exists() else None
    content = save_tensors(_tensors(library))
    checksum = hashlib.sha256(content).hexdigest()
    name = f"entries-{checksum[:16]}.safetensors"
    write_atomically(folder / name, content)
    index = {
        "format": FORMAT,
        "policy": library.policy,
        "checksum": library.checksum,
        "most": library.most,
        "notes": [entry.note for entry in library.entries],
        "episodes": [entry.experience.valid.shape[1] for entry in library.entries],
        "tensors": name,
        "sha256": checksum,
    }
    write_json(path, index)
    if old not in (None, name):
        (folder / old).unlink(missing_ok=True)


def load_library(folder: str | Path) -> Library:
    """Read a library from its folder.

    Raises:
        ValueError: for anything else than a whole library, naming the file and what is
            wrong with it.
        OSError: if a file cannot be opened.
    """
    folder = Path(folder)
    path = folder / INDEX
    index = _checked_index(path, read_json(path))
    file = folder / index["tensors"]
    content = read_bytes(file, _LARGEST)
    found = hashlib.sha256(content).hexdigest()
    if found != index["sha256"]:
        raise ValueError(
            f"{file} is truncated or corrupt: its {len(content):,} bytes have not the "
            f"checksum that {INDEX} states"
        )
    try:
        tensors = load_tensors(content)
        return Library(
            embedding=Embedding(**{k: tensors[f"embedding/{k}"] for k in _EMBEDDING}),
            policy=index["policy"],
            checksum=index["checksum"],
            most=index["most"],
            entries=_entries(tensors, index["notes"], index["episodes"]),
        )
    except (*BROKEN, SafetensorError, RuntimeError, IndexError) as error:
        raise ValueError(f"{file} is no library's: {error}") from error


def _checked_index(path: Path, raw: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the JSON states, or raise ValueError saying what is wrong."""
    kinds = {
        "policy": str,
        "checksum": str,
        "most": int,
        "notes": list,
        "episodes": list,
        "tensors": str,
        "sha256": str,
    }
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        said = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise ValueError(f"{path} has format {said!r}, expected {FORMAT}")
    for name, kind in kinds.items():
        if not isinstance(raw.get(name), kind):
            raise ValueError(
                f"{path}: {name!r} is to be {kind.__name__}, got {raw.get(name)!r}"
            )
    # a name of ours and not a path to somewhere else
    if not re.fullmatch(r"entries-[0-9a-f]{16}\.safetensors", raw["tensors"]):
        raise ValueError(f"{path} names a file of tensors {raw['tensors']!r}")
    sound = all(type(n) is int and n >= 1 for n in raw["episodes"])
    same = len(raw["notes"]) == len(raw["episodes"]) <= raw["most"]
    if not (sound and same and all(isinstance(n, str) for n in raw["notes"])):
        raise ValueError(
            f"{path} states {len(raw['notes'])} notes and {len(raw['episodes'])} "
            f"numbers of episodes, for at most {raw['most']} entries"
        )
    return raw


def _tensors(library: Library) -> dict[str, Tensor]:
    """Return all entries as stacked tensors by name, few however many tasks."""
    fitted = {k: getattr(library.embedding, k).contiguous() for k in _EMBEDDING}
    named = prefixed("embedding", fitted) | {"points": library.points}
    entries = library.entries
    if not entries:
        return named
    for k in entries[0].adaptation:
        named[f"adaptation/{k}"] = torch.cat([e.adaptation[k] for e in entries])
    lived = [flat_experience(entry.experience) for entry in entries]
    joined = {k: torch.cat([x[k] for x in lived]) for k in lived[0]}
    return named | prefixed("experience", joined)


def flat_experience(e: Experience) -> dict[str, Tensor]:
    """Return one task's experience by name, led by its episodes."""
    mean, log_std = parts(e.old.whole())
    named = {k: getattr(e, k)[0] for k in _PLAIN} | {"mean": mean[0]}
    return named if log_std is None else named | {"log_std": log_std[0]}


def _entries(
    tensors: Mapping[str, Tensor], notes: list[str], episodes: list[int]
) -> list[Entry]:
    """Cut stacked tensors into entries.

    Raises:
        ValueError: if they are of other numbers of tasks or episodes.
    """
    if not notes:
        return []
    points, adaptation = tensors["points"], group(tensors, "adaptation")
    lived = group(tensors, "experience")
    counts = {len(v) for v in adaptation.values()} | {len(points)}
    steps = {v.shape[:2] for v in lived.values()}
    whole = len(steps) == 1 and next(iter(steps))[0] == sum(episodes)
    if counts != {len(notes)} or not whole:
        raise ValueError(
            f"tensors of {sorted(counts)} entries and {sorted(map(tuple, steps))} "
            f"episodes and steps, expected {len(notes)} and {sum(episodes)}"
        )
    if not torch.isfinite(points).all():
        raise ValueError("a point is not finite")
    cut = {k: v.split(episodes) for k, v in lived.items()}
    return [
        Entry(
            point=points[i],
            adaptation={k: v[i : i + 1] for k, v in adaptation.items()},
            experience=parse_experience({k: v[i][None] for k, v in cut.items()}),
            note=note,
        )
        for i, note in enumerate(notes)
    ]


def parse_experience(named: Mapping[str, Tensor]) -> Experience:
    """Return the experience whose tensors have the names of `flat_experience`."""
    plain = {k: named[k] for k in _PLAIN}
    return Experience(**plain, old=distribution(named["mean"], named.get("log_std")))
