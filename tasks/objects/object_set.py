"""A user's own objects, as what the tasks of a family are about: one or several.

Several are divided, so that adapting to an unseen object can be measured: a folder with
the subfolders `train` and `unseen` says itself which are which. Otherwise a fifth of
them, at least one, is unseen, by a hash of their volume and inertia: whatever the files
are called, of whatever kind, and in whatever order they are read.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Unpack

import numpy as np

from tasks.objects.folder import repeated
from tasks.objects.mesh_file import Reading, load_solids
from tasks.objects.solids import Solid, parse_solid, spread_of, volume

FOLDERS = ("train", "unseen")
"""Names of the subfolders that say which objects are unseen."""
_EACH = 5  # one object of so many is unseen
_STEP = 1e-3 * math.pi


@dataclass(frozen=True, eq=False)
class ObjectSet:
    """Objects that tasks draw from.

    Args:
        seen: those of every split but `unseen`; at least one.
        unseen: those of the split `unseen`, which draws from the others if it has none.
    """

    seen: tuple[Solid, ...]
    unseen: tuple[Solid, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a set that no task could draw from, or with one object twice."""
        again = repeated(self.all)
        places = sorted({*again, *again.values()})
        twice = [self.all[i].name for i in places]
        if not self.seen or twice:
            raise ValueError(
                "tasks need one object, or several different ones, got "
                + (f"the same as {' and '.join(twice)}" if twice else "none")
            )

    @cached_property
    def all(self) -> tuple[Solid, ...]:
        """Every object, the unseen ones last."""
        return self.seen + self.unseen

    @cached_property
    def by_name(self) -> dict[str, Solid]:
        """Each object, by its name."""
        return {solid.name: solid for solid in self.all}

    @property
    def name(self) -> str:
        """Return what reports call them: the name of one, or a number of several."""
        if len(self.all) == 1:
            return self.all[0].name
        return f"{len(self.all)} objects, {len(self.unseen)} of them unseen"

    def to_json(self) -> list[list[str]]:
        """Return each object's JSON, the unseen ones apart; `parse_set` reads it."""
        return [[s.to_json() for s in part] for part in (self.seen, self.unseen)]


Objects = ObjectSet | Solid | Sequence[Solid]
"""Objects as a caller may give them: a list is divided by `divided`."""


def as_set(objects: Objects | None) -> ObjectSet | None:
    """Return objects as a set, however they are given; None stays None.

    Raises:
        ValueError: for an empty list, or two objects of one name.
    """
    if objects is None or isinstance(objects, ObjectSet):
        return objects
    return ObjectSet((objects,)) if isinstance(objects, Solid) else divided(objects)


def divided(solids: Sequence[Solid]) -> ObjectSet:
    """Hold out a fifth of several objects, at least one, by what they hold."""
    count = max(1, len(solids) // _EACH) if len(solids) > 1 else 0
    ranked = sorted(solids, key=_rank)
    unseen = {solid.name for solid in ranked[:count]}
    return ObjectSet(
        tuple(s for s in solids if s.name not in unseen),
        tuple(s for s in solids if s.name in unseen),
    )


def load_objects(path: Path | str, **reading: Unpack[Reading]) -> ObjectSet:
    """Read one object, or those of a folder, which are divided as the module says.

    Args:
        path: a file or a folder.
        reading: the same for all files.

    Raises:
        ValueError: as `load_solids`, or for an object that is there twice.
    """
    path = Path(path)
    folders = [path / name for name in FOLDERS]
    if all(folder.is_dir() for folder in folders):
        seen, unseen = (tuple(load_solids(f, **reading)) for f in folders)
        return ObjectSet(seen, unseen)
    return divided(load_solids(path, **reading))


def parse_set(stored: object) -> ObjectSet:
    """Read what `ObjectSet.to_json` returned, or one object's JSON, as was once kept.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(stored, str):
        return ObjectSet((parse_solid(stored),))
    match stored:
        case [list(seen), list(unseen)]:
            return ObjectSet(
                tuple(parse_solid(str(text)) for text in seen),
                tuple(parse_solid(str(text)) for text in unseen),
            )
        case _:
            raise ValueError(f"no set of objects: {json.dumps(stored)[:60]}")


def _rank(solid: Solid) -> tuple[str, *tuple[float, ...]]:
    """Return the key of a random order: what the body holds, whatever it is called.

    Files write the same body with other digits, so its numbers are told apart in steps
    of no round share of the size: numbers of a drawing lie at the border of none. What
    was only turned over holds as much, and is told apart by its centre of mass.
    """
    com, spread = spread_of(solid.moments)
    held = volume(solid)
    size = held ** (1 / 3)
    numbers = [math.log(held), *(spread[np.triu_indices(3)] / size**2)]
    steps = np.floor(np.array(numbers) / _STEP + _STEP).astype(int)
    return (
        hashlib.sha256(str(steps.tolist()).encode()).hexdigest(),
        *com.round(6).tolist(),
    )
