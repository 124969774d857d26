"""Objects of a user's own, however they are given."""

from pathlib import Path

from tasks.objects.object_set import Objects, ObjectSet, as_set, load_objects
from tasks.registry import fitting

Given = Objects | str | Path | None
"""Objects of a user's own, or their file or folder; None for the family's."""


def given_objects(object: Given, family: str) -> ObjectSet | None:
    """Return objects as a family takes them, read from their files if need be.

    Raises:
        ValueError: for an object that cannot be used.
    """
    if isinstance(object, str | Path):
        return load_objects(object, fits=fitting(family))
    return as_set(object)
