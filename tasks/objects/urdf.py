"""A URDF file as a MuJoCo model, its meshes found and converted.

MuJoCo parses URDF, but takes two meshes of one name in different folders for one, knows
neither `package://` nor all kinds of mesh, and refuses a file for a mesh that is only
drawn. So the meshes are handed to it by names of their own.
"""

from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from tasks.objects import read_mesh
from tasks.objects.confined import RefusedError

_ABOVE = 4  # folders above the file's in which a package may lie


def urdf_spec(root: ElementTree.Element, folder: Path) -> mujoco.MjSpec:
    """Parse a URDF whose meshes lie relative to a folder.

    Raises:
        RefusedError: for a mesh that collides and cannot be read.
    """
    assets: dict[str, bytes] = {}
    known: dict[Path, tuple[str, bytes]] = {}
    for link in root.iter("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            try:
                path = found(mesh.get("filename", ""), folder)
                if path not in known:
                    known[path] = _mesh(path)
            except RefusedError:
                if shape.tag == "collision":
                    raise
                link.remove(shape)
                continue
            suffix, content = known[path]
            name = f"mesh{len(assets)}{suffix}"
            assets[name] = content
            mesh.set("filename", name)
    for old in root.findall("mujoco"):
        root.remove(old)
    compiler = ElementTree.SubElement(
        ElementTree.SubElement(root, "mujoco"), "compiler"
    )
    compiler.set("discardvisual", "false")
    compiler.set("fusestatic", "false")
    compiler.set("balanceinertia", "true")
    text = ElementTree.tostring(root, encoding="unicode")
    return mujoco.MjSpec.from_string(text, assets=assets)


def without_impossible_inertia(root: ElementTree.Element) -> list[str]:
    """Remove all inertias if one is none of a body, and return what to say of it.

    Static things are often given no mass, and others numbers that someone made up.
    """
    wrong = [
        str(link.get("name"))
        for link in root.iter("link")
        if (inertial := link.find("inertial")) is not None and not _physical(inertial)
    ]
    if not wrong:
        return []
    for link in root.iter("link"):
        for inertial in link.findall("inertial"):
            link.remove(inertial)
    return [f"mass and inertia of link {wrong[0]!r} are those of no body"]


def _physical(inertial: ElementTree.Element) -> bool:
    mass, inertia = inertial.find("mass"), inertial.find("inertia")
    if mass is None or inertia is None:
        return False
    try:
        kg = float(mass.get("value", "0"))
        xx, yy, zz, xy, xz, yz = (
            float(inertia.get(f"i{key}", "0"))
            for key in ("xx", "yy", "zz", "xy", "xz", "yz")
        )
    except ValueError:
        return False
    moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    # each is at most the sum of the two others
    return kg > 0 and moments[0] > 0 and moments[2] < 1.01 * moments[:2].sum()


def found(name: str, folder: Path) -> Path:
    """Return where a mesh lies: beside the file, or in a package or folder above it.

    Raises:
        RefusedError: if it lies in none.
    """
    for scheme in ("package://", "file://", "model://"):
        name = name.removeprefix(scheme)
    for start in [folder, *list(folder.parents)[:_ABOVE]]:
        # the package is this folder itself, or lies in it
        for rest in (name, name.partition("/")[2]):
            if rest and (start / rest).is_file():
                return start / rest
    raise RefusedError(f"mesh {name!r}: no such file")


def _mesh(path: Path) -> tuple[str, bytes]:
    """Return a file that MuJoCo reads: its suffix, and its content."""
    suffix = path.suffix.lower()
    if suffix == ".stl":
        return suffix, read_mesh.contents(path)
    if suffix not in read_mesh.SUFFIXES:
        raise RefusedError(
            f"mesh {path.name}: no kind of {', '.join(read_mesh.SUFFIXES)}"
        )
    # of an .obj, MuJoCo reads the first of its objects only
    return ".obj", read_mesh.as_obj(path)
