"""A mesh file, read by trimesh, as the closed surface of one body.

This runs in a process of its own; see `confined`.
"""

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from tasks.objects.confined import Arrays, RefusedError, needed
from tasks.objects.cutting import LOSS
from tasks.objects.polyhedra import hull_volume
from tasks.objects.shells import closed_shells, enclosed
from tasks.objects.visuals import PLAIN, Visual, coloured, packed
from tasks.objects.welding import Surface, welded

SUFFIXES = (".obj", ".stl", ".ply", ".glb", ".gltf", ".off")
MAX_BYTES = 200 << 20
"""Size that a file may have."""
MAX_FACES = 500_000
MAX_SHELLS = 100
"""Convex shells that are merged, instead of cutting the mesh."""
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte-order marks, which some editors put before a text, and their encodings."""


def read_mesh(path: str) -> Arrays:
    """Read a mesh; see `mesh_file.Found` for the arrays.

    Raises:
        RefusedError: for a mesh that is not closed, not finite or too large.
    """
    pieces = _pieces(Path(path))
    vertices = np.concatenate([np.asarray(p.vertices, np.float64) for p in pieces])
    starts = np.cumsum([0, *(len(p.vertices) for p in pieces)])
    faces = np.concatenate(
        [
            np.asarray(p.faces, np.int64) + i
            for p, i in zip(pieces, starts, strict=False)
        ]
    )
    if len(faces) > MAX_FACES:
        raise RefusedError(f"the mesh has {len(faces)} faces; at most {MAX_FACES}")
    if not np.isfinite(vertices[faces]).all():
        raise RefusedError("the mesh has coordinates that are not finite")
    surface, shells = enclosed(closed_shells(welded(vertices, faces)))
    found = _arrays(surface, shells)
    return found | packed([v for piece in pieces for v in _seen(piece)])


def _arrays(surface: Surface, shells: list[Surface]) -> Arrays:
    found: Arrays = {"vertices": surface.vertices, "faces": surface.faces}
    if 1 < len(shells) <= MAX_SHELLS and all(map(is_convex, shells)):
        found |= {f"hull{i}": shell.vertices for i, shell in enumerate(shells)}
    return found


def is_convex(shell: Surface, slack: float = LOSS) -> bool:
    """Return whether a closed surface bounds its convex hull, but for a share of it."""
    sides = np.ptp(shell.vertices, axis=0)
    thick = sides.min() > 1e-3 * sides.max()  # a flat one has no hull
    return bool(thick) and hull_volume(shell.vertices) < (1 + slack) * shell.volume


def _pieces(path: Path) -> list[Any]:
    """Return the file's meshes, where the file puts them."""
    trimesh = _trimesh()
    scene = trimesh.load_scene(
        io.BytesIO(contents(path)),
        file_type=path.suffix.lower().removeprefix("."),
        resolver=_Neighbours(path.parent),
        process=False,
    )
    pieces = [
        p
        for p in scene.dump()
        if isinstance(p, trimesh.Trimesh) and len(p.faces) and len(p.vertices)
    ]
    if not pieces:
        raise RefusedError("the mesh is empty")
    return pieces


def _trimesh() -> ModuleType:
    """Import trimesh without what reading a file has no use for, and takes a second."""
    for name in ("scipy", "networkx", "shapely", "lxml", "jsonschema", "httpx"):
        sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType]
    return needed("trimesh")


def as_obj(path: Path) -> bytes:
    """Return a mesh file's meshes as one .obj file."""
    trimesh = _trimesh()
    mesh = trimesh.util.concatenate(_pieces(path))
    bare = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    return str(bare.export(file_type="obj")).encode()


class _Neighbours(dict[str, bytes]):
    """Files that a mesh names, such as materials, by their names."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """Return a file's content."""
        return contents(self._folder / name.strip())

    def __getitem__(self, name: str) -> bytes:
        return contents(self._folder / name.strip())


def contents(path: Path) -> bytes:
    """Return the content of a file, a text without its byte-order mark.

    Raises:
        RefusedError: for what is no file, such as a pipe that never ends, or too large.
    """
    if not path.is_file():
        raise RefusedError("no such file")
    if path.stat().st_size > MAX_BYTES:
        raise RefusedError(f"{path.name} has more than {MAX_BYTES >> 20} MiB")
    data = path.read_bytes()
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding).encode()
    return data


def _seen(piece: Any) -> list[Visual]:  # noqa: ANN401  (trimesh is not typed)
    vertices = np.asarray(piece.vertices, np.float64)
    faces = np.asarray(piece.faces, np.int64)
    return coloured(vertices, faces, _colours(piece))


def _colours(piece: Any) -> Float[np.ndarray, "m 4"]:  # noqa: ANN401
    """Colours of the faces; those of textures are sampled."""
    plain = np.tile(PLAIN, (len(piece.faces), 1))
    try:
        visual = piece.visual
        if visual.kind == "texture" and _has_image(visual):
            visual = visual.to_color()
        if visual.kind == "texture":
            return np.tile(
                np.asarray(visual.material.main_color) / 255, (len(plain), 1)
            )
        if visual.kind not in ("face", "vertex"):
            return plain
        colours = np.asarray(visual.face_colors, np.float64).reshape(-1, 4) / 255
    # a texture that is missing, or of a kind that cannot be read
    except Exception:
        return plain
    return colours if colours.shape == plain.shape else plain


def _has_image(visual: Any) -> bool:  # noqa: ANN401
    images = (getattr(visual.material, n, None) for n in ("image", "baseColorTexture"))
    return visual.uv is not None and any(image is not None for image in images)
