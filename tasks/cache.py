"""The folder of the user's cache, for what is costly to make and may be made anew."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return the folder of one kind of things, which need not exist.

    It lies in the folder that PLIANT_CACHE names, or in ~/.cache/pliant.
    """
    named = os.environ.get("PLIANT_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(named) if named else home / "pliant") / kind
