"""A closed surface cut into a few convex parts, once for all.

Meshes are cut by CoACD (Wei et al. 2022, "Approximate convex decomposition for 3D
meshes with collision-aware concavity and tree search"). Convex pieces that a body is
made of are merged instead, which fills less and takes no time. What was cut is kept in
the folder that PLIANT_CACHE names, or ~/.cache/pliant, under a hash of what it was.
"""

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.cache import cache_folder
from tasks.objects.confined import Arrays, RefusedError, confined, needed
from tasks.objects.polyhedra import Points, few, hull_volume, triangulate
from tasks.objects.shells import manifold_of, overlapping, surface_of, united
from tasks.objects.solids import MAX_PARTS
from tasks.objects.welding import Surface

if TYPE_CHECKING:
    from manifold3d import Manifold

SECONDS = 900
"""Time that cutting one mesh may take."""
LOSS = 0.05
"""Share of the volume that parts may add to an object without a warning."""
_GIB = 8
_NEEDLE = 1e-4  # of the longest side; finer detail is left out of the parts
_CONCAVITY = 0.05  # CoACD's own default
_FORMAT = "4"  # to be counted up when the same surface is cut another way


def convex_parts(
    surface: Surface,
    hulls: Sequence[Points],
    say: Callable[[str], None] | None = None,
) -> tuple[list[Points], float]:
    """Cut a body into one to four convex parts.

    Args:
        surface: of the body.
        hulls: convex pieces that it is made of, if it is known to be; they may overlap.
        say: told that the work is going to take a while.

    Returns:
        Points of the parts, of few vertices, and the volume that they hold together.

    Raises:
        RefusedError: if a library is missing, or it takes too long.
    """
    if hulls:
        parts = [few(points) for points in hulls]
        if len(parts) > MAX_PARTS:
            parts = merged(parts)
        return parts, volume_of(parts)
    if hull_volume(surface.vertices) < (1 + LOSS) * surface.volume:
        parts = [few(surface.vertices)]
        return parts, volume_of(parts)
    arrays: Arrays = {"vertices": surface.vertices, "faces": surface.faces}
    kept = cache_folder("parts") / f"{_key(arrays)}.npz"
    found = _read(kept)
    if found is None:
        if say is not None:
            say(f"cutting {len(surface.faces)} faces into convex parts ...")
        found = confined(
            "tasks.objects.cutting:cut",
            arrays,
            seconds=SECONDS,
            gib=_GIB,
            threads=True,
            verb="cut into convex parts",
            by="CoACD",
        )
        _keep(kept, found)
    parts = [found[f"part{i}"] for i in range(len(found) - 1)]
    return parts, float(found["held"])


def cut(vertices: NDArray[Any], faces: NDArray[Any]) -> Arrays:
    """Cut a mesh in a process of its own; see `convex_parts`."""
    coacd = needed("coacd")
    coacd.set_log_level("error")
    # else CoACD makes it a manifold of voxels, which is slow and fills hollows
    with contextlib.suppress(RefusedError):
        body = manifold_of(Surface(vertices, faces))
        # a union leaves needles, at which CoACD aborts
        body = body.simplify(_NEEDLE * float(np.ptp(vertices, axis=0).max()))
        vertices, faces = surface_of(body)
    found = coacd.run_coacd(
        coacd.Mesh(vertices, faces), threshold=_CONCAVITY, max_convex_hull=MAX_PARTS
    )
    # CoACD makes flat parts of thin walls
    parts = [few(np.asarray(points, dtype=np.float64)) for points, _ in found]
    parts = [part for part in parts if _has_volume(part)]
    if not parts:
        raise RefusedError("cannot be cut into convex parts: it is too thin")
    arrays = {f"part{i}": part for i, part in enumerate(parts)}
    return arrays | {"held": np.array(volume_of(parts))}


def _has_volume(part: Points) -> bool:
    try:
        triangulate(part)
    except ValueError:
        return False
    return True


def merged(hulls: Sequence[Points]) -> list[Points]:
    """Merge convex pieces into four, always the two whose hull adds least."""
    points = dict(enumerate(hulls))
    volumes = {i: _hull(p).volume() for i, p in points.items()}

    def cost(a: int, b: int) -> float:
        both = _hull(np.concatenate([points[a], points[b]])).volume()
        return both - volumes[a] - volumes[b]

    costs = {(a, b): cost(a, b) for b in points for a in points if a < b}
    while len(points) > MAX_PARTS:
        a, b = min(costs, key=lambda pair: (costs[pair], pair))
        fresh = max(points) + 1
        points[fresh] = few(np.concatenate([points.pop(a), points.pop(b)]))
        volumes[fresh] = _hull(points[fresh]).volume()
        costs = {pair: c for pair, c in costs.items() if not {a, b} & {*pair}}
        costs |= {(i, fresh): cost(i, fresh) for i in points if i != fresh}
    return list(points.values())


def _hull(points: Points) -> "Manifold":
    return needed("manifold3d").Manifold.hull_points(np.ascontiguousarray(points))


def volume_of(parts: Sequence[Points]) -> float:
    """Return the volume of the union of the parts' hulls."""
    surfaces = [Surface(p, triangulate(p)) for p in parts]
    if not overlapping(surfaces):
        return sum(s.volume for s in surfaces)
    return united([_hull(p) for p in parts]).volume()


def _key(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {MAX_PARTS} {_CONCAVITY}".encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Arrays | None:
    """Return what is kept, or None if there is none or it was damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        parts = [found[f"part{i}"] for i in range(len(found) - 1)]
        held = float(found["held"])
    # zipfile and numpy raise more kinds than they document
    except Exception:
        return None
    good = all(p.dtype == np.float64 and p.ndim == 2 and p.shape[1] == 3 for p in parts)
    finite = np.isfinite(held) and all(np.isfinite(p).all() for p in parts)
    return found if parts and good and finite else None


def _keep(path: Path, arrays: Arrays) -> None:
    """Write a whole file, or none where none can be written."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # pyright: ignore[reportArgumentType]
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            partial = Path(file.name)
            try:
                file.write(content.getvalue())
                file.flush()
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
