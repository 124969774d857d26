"""Fragments of MJCF: files that a larger model includes, with what they lean on.

Many projects keep an object as a body alone, and its defaults, meshes and materials in
a file beside it; only a scene names both.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import mujoco

from tasks.objects.confined import RefusedError
from tasks.objects.read_mesh import contents

_SECTIONS = {"asset", "compiler", "default", "include", "option", "size", "visual"}
_USES = ("class", "childclass", "mesh", "material", "texture", "hfield")
_MAX_FILES = 500
_MAX_BYTES = 1 << 20


def parsed_xml(path: Path) -> ElementTree.Element:
    """Return the root of a file.

    Raises:
        RefusedError: if it is no XML.
    """
    try:
        return ElementTree.fromstring(contents(path))
    except ElementTree.ParseError as error:
        raise RefusedError(f"XML parse error: {error}") from error


def spec_of(path: Path, root: ElementTree.Element, folder: Path) -> mujoco.MjSpec:
    """Parse an MJCF file, whole or not, as a model in some folder would include it."""
    if root.tag == "mujoco" and folder == path.parent:
        return mujoco.MjSpec.from_file(str(path))
    if root.tag == "mujoco":
        return _model(_include(path, folder))
    beside = "".join(_include(p, folder) for p in _companions(path, root))
    if root.tag == "body":
        body = ElementTree.tostring(root, encoding="unicode")
        return _model(f"{beside}<worldbody>{body}</worldbody>")
    whole = any(child.tag in {"worldbody", *_SECTIONS} for child in root)
    text = _include(path, folder)
    return _model(beside + (text if whole else f"<worldbody>{text}</worldbody>"))


def _model(text: str) -> mujoco.MjSpec:
    return mujoco.MjSpec.from_string(f"<mujoco>{text}</mujoco>")


def _include(path: Path, folder: Path) -> str:
    element = ElementTree.Element("include", file=os.path.relpath(path, folder))
    return ElementTree.tostring(element, encoding="unicode")


def _companions(path: Path, root: ElementTree.Element) -> list[Path]:
    """Return files beside a fragment that define the names that it uses."""
    missing = {e.get(key) for e in root.iter() for key in _USES} - {None}
    missing -= set(_defined(root))
    others = {p: set(_defined(tree)) & missing for p, tree in _beside(path) if missing}
    chosen: list[Path] = []
    while missing:
        # a tie goes to the file that is named like this one
        best = max(
            others,
            key=lambda p: (len(others[p] & missing), _alike(p, path)),
            default=path,
        )
        if not others.get(best, set()) & missing:
            break
        chosen.append(best)
        missing -= others.pop(best)
    return chosen


def _beside(path: Path) -> Iterator[tuple[Path, ElementTree.Element]]:
    for other in sorted(path.parent.glob("*.xml"))[:_MAX_FILES]:
        if other == path or not other.is_file() or other.stat().st_size > _MAX_BYTES:
            continue
        try:
            tree = parsed_xml(other)
        except (RefusedError, UnicodeError):
            continue
        if {child.tag for child in tree} <= _SECTIONS:
            yield other, tree


def _defined(root: ElementTree.Element) -> Iterator[str]:
    for default in root.iter("default"):
        yield default.get("class", "")
    for asset in root.iter("asset"):
        for child in asset:
            yield child.get("name") or Path(child.get("file", "")).stem


def _alike(path: Path, other: Path) -> int:
    """Return how many letters two names begin with in common."""
    pairs = enumerate(zip(path.name, other.name, strict=False))
    return next((i for i, (a, b) in pairs if a != b), len(path.name))
