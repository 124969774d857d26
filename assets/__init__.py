"""Data that ships with Pliant: models and policies."""

from pathlib import Path

ROOT = Path(__file__).parent


def path(name: str) -> Path:
    """The file of this name below `assets/`.

    Raises:
        ValueError: if there is none, listing what is shipped.
    """
    found = ROOT / name
    if not found.is_file():
        shipped = sorted(
            str(p.relative_to(ROOT))
            for p in ROOT.rglob("*")
            if p.is_file() and p.suffix in (".xml", ".safetensors")
        )
        raise ValueError(f"no asset {name!r}; shipped: {', '.join(shipped) or 'none'}")
    return found
