"""Files of a folder that are objects of their own, and objects that are the same."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tasks.objects import read_mesh, read_model
from tasks.objects.confined import RefusedError
from tasks.objects.fragments import parsed_xml
from tasks.objects.solids import Solid, spread_of, volume
from tasks.objects.urdf import found

SUFFIXES = read_mesh.SUFFIXES + read_model.SUFFIXES
_ABOVE = 3  # folders above a file's in which what it names may lie
_SAME = 1e-4  # files of 32-bit numbers, or of few digits, differ by less
_ALIKE = 1e-2  # share of the size by which parts that are cut anew may differ


def objects_in(folder: Path) -> list[Path]:
    """Return the objects of a folder, sorted, without what other files of it name."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    named = {
        path.resolve()
        for file in files
        if file.suffix.lower() in read_model.SUFFIXES and file.is_file()
        for path in _named_by(file)
        if path.resolve() != file.resolve()
    }
    return [file for file in files if file.resolve() not in named]


def _named_by(file: Path) -> Iterator[Path]:
    """Return files that a model names; one that cannot be parsed names none."""
    # entities may grow without bound, and this is no process of its own
    if b"<!ENTITY" in read_mesh.contents(file):
        return
    try:
        root = parsed_xml(file)
    except (RefusedError, UnicodeError):
        return
    for mesh in root.iter("mesh") if root.tag == "robot" else ():
        try:
            yield found(mesh.get("filename", ""), file.parent)
        except RefusedError:
            continue
    compilers = [e.attrib for e in root.iter("compiler")]
    settings = {key: value for c in compilers for key, value in c.items()}
    for element in root.iter():
        if root.tag != "robot" and element.get("file"):
            yield from _first(file.parent, _relative(element, settings))


def _relative(element: ElementTree.Element, settings: dict[str, str]) -> Path:
    """Return what an element of MJCF names, relative to some folder."""
    name = Path(element.get("file", ""))
    if element.tag == "include":
        return name
    if settings.get("strippath") == "true":
        name = Path(name.name)
    return settings.get("meshdir", settings.get("assetdir", "")) / name


def _first(folder: Path, name: Path) -> list[Path]:
    places = [folder, *list(folder.parents)[:_ABOVE]]
    return [start / name for start in places if (start / name).is_file()][:1]


def repeated(solids: Sequence[Solid]) -> dict[int, int]:
    """Return the places of objects that came before, with the place of the first."""
    again: dict[int, int] = {}
    for i, solid in enumerate(solids):
        firsts = (k for k in range(i) if k not in again and same(solid, solids[k]))
        first = next(firsts, None)
        if first is not None:
            again[i] = first
    return again


def same(one: Solid, other: Solid) -> bool:
    """Return whether two objects are one body, standing in the same way.

    Files of one shape differ in their kind, their comments and the order of vertices,
    and may be cut into other parts. So what the bodies hold is compared closely, and
    what their parts span loosely.
    """
    held = np.array([volume(one), volume(other)])
    if abs(np.diff(held)[0]) > _SAME * held.max():
        return False
    (com, spread), (its_com, its_spread) = map(spread_of, (one.moments, other.moments))
    if np.abs(spread - its_spread).max() > _SAME * np.trace(spread):
        return False
    size, its_size = (np.ptp(s.vertices, axis=0) for s in (one, other))
    apart = np.abs([com - its_com, size - its_size]).max()
    return bool(apart <= _ALIKE * size.max())
