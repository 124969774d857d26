"""Data that ships with Pliant: models and policies."""

from pathlib import Path

ROOT = Path(__file__).parent
_CODE = (".py", ".pyc")


def path(name: str) -> Path:
    """The file of this name below `assets/`.

    Raises:
        ValueError: if there is none, listing what is shipped.
    """
    files = (p for p in ROOT.rglob("*") if p.is_file() and p.suffix not in _CODE)
    shipped = sorted(p.relative_to(ROOT).as_posix() for p in files)
    if name not in shipped:
        raise ValueError(f"no asset {name!r}; shipped: {', '.join(shipped)}")
    return ROOT / name
