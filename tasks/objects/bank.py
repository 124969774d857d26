"""Many solids in one compiled model, and each world's choice among them.

Every solid's parts are meshes of the model. A body of the bank has as many mesh geoms
as the solid with most parts; a world's `geom_dataid` says which meshes they show there,
and geoms that its solid has no part for are switched off by a margin of -1e6 m, as in
`shapes.py`. A solid that has surfaces of its own to be drawn shows those, as geoms that
touch nothing, instead of its parts.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Num
from numpy.typing import NDArray
from torch import Tensor

from tasks.objects.generated import Traits
from tasks.objects.solids import Solid, spread_of, with_insert
from tasks.objects.visuals import Visual
from tasks.parameters import Choice

GEOM_FIELDS = (
    "geom_dataid",
    "geom_pos",
    "geom_quat",
    "geom_aabb",
    "geom_rbound",
    "geom_margin",
    "geom_rgba",
)
"""Fields that `Bank.fields` writes: a family declares them among its own."""
BODY_FIELDS = ("body_mass", "body_ipos", "body_iquat", "body_inertia")
"""Fields that `Bank.inertia` writes."""
RESTING = -1e-4
"""Height at which a solid's frame comes to rest on the table [m]: contacts are soft."""
_OFF = -1e6  # [m], the margin of an unused geom
_COLOUR = (0.90, 0.45, 0.13)

Entries = dict[str, tuple[int | Sequence[int], Num[Tensor, "world ..."]]]


class _Geom(NamedTuple):
    """A geom of a body, for one solid."""

    mesh: str
    used: bool
    rgba: tuple[float, ...]


class Bank:
    """Solids that a body may be.

    Args:
        solids: numbered from 0.

    Raises:
        ValueError: for none, or two of one name.
    """

    def __init__(self, solids: Sequence[Solid]) -> None:
        names = [solid.name for solid in solids]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"a bank needs solids of different names, got {', '.join(names)}"
            )
        self.solids = tuple(solids)
        self.by_name = dict(zip(names, solids, strict=True))
        self.slots = max(len(solid.parts) for solid in solids)
        """Geoms of a body that collide."""
        self._surfaces = max(len(_drawn(solid)) for solid in solids)
        spreads = [spread_of(solid.moments) for solid in solids]
        self.com = np.array([com for com, _ in spreads])
        """Centre of mass of each solid without an insert, in its frame [m]."""
        self._spread = np.array([spread for _, spread in spreads])

    def add_to(
        self, spec: mujoco.MjSpec, name: str, pos: Sequence[float]
    ) -> mujoco.MjsBody:
        """Add a free body, and the meshes unless another body of the bank did.

        Args:
            spec: a scene.
            name: of the body and its joint; geoms are `NAME_0`, `NAME_1` ..., and those
                that are only drawn `NAME_seen0`, `NAME_seen1` ...
            pos: [m].

        Returns:
            The body, as the first solid until `fields` are assigned.
        """
        if not any(mesh.name == _mesh(self.solids[0], 0) for mesh in spec.meshes):
            self._add_meshes(spec)
        body = spec.worldbody.add_body(name=name, pos=pos)
        # the off-diagonal inertia of an uneven object needs a body that is not "simple"
        body.simple = False
        body.explicitinertial = True
        body.mass, body.inertia = 0.3, np.full(3, 1e-3)
        body.add_freejoint(name=name)
        for slot in range(self.slots):
            body.add_geom(
                name=f"{name}_{slot}",
                type=mujoco.mjtGeom.mjGEOM_MESH,
                rgba=[*_COLOUR, 1],
                meshname=self._geoms(self.solids[0])[slot].mesh,
            )
        for slot in range(self._surfaces):
            body.add_geom(
                name=f"{name}_seen{slot}",
                type=mujoco.mjtGeom.mjGEOM_MESH,
                contype=0,
                conaffinity=0,
                group=2,
                mass=0,
                rgba=[0, 0, 0, 0],
                meshname=self._geoms(self.solids[0])[self.slots + slot].mesh,
            )
        return body

    def geoms(self, model: mujoco.MjModel, name: str) -> list[int]:
        """Return the ids of a body's geoms that collide."""
        return [model.geom(f"{name}_{slot}").id for slot in range(self.slots)]

    def fields(
        self, model: mujoco.MjModel, name: str, index: Num[Tensor, "world"]
    ) -> Entries:
        """Return entries for `tasks.family.per_world` that choose each world's solid.

        Args:
            model: compiled from a scene that the bank was added to.
            name: of the body.
            index: of the solid; may be a float, as a family's values are.
        """
        chosen = index.long().cpu()
        rows = {key: table[chosen] for key, table in self._rows(model).items()}
        drawn = [model.geom(f"{name}_seen{i}").id for i in range(self._surfaces)]
        geoms = [*self.geoms(model, name), *drawn]
        return {
            "geom_dataid": (geoms, rows["mesh"]),
            "geom_pos": (geoms, rows["pos"]),
            "geom_quat": (geoms, rows["quat"]),
            "geom_aabb": (geoms, rows["aabb"]),
            "geom_rbound": (geoms, rows["rbound"]),
            "geom_margin": (geoms, torch.where(rows["used"], 0.0, _OFF).double()),
            "geom_rgba": (geoms, rows["rgba"]),
        }

    def inertia(
        self,
        model: mujoco.MjModel,
        name: str,
        index: Num[Tensor, "world"],
        *,
        mass: Float[Tensor, "world"],
        insert: Float[Tensor, "world 3"] | None = None,
        insert_share: Float[Tensor, "world"] | float = 0.0,
    ) -> Entries:
        """Return entries for `tasks.family.per_world`: each world's mass properties.

        Args:
            model: compiled from a scene that the bank was added to.
            name: of the body.
            index: of the solid.
            mass: of the whole [kg].
            insert: where the heavy insert sits in the solid's frame [m].
            insert_share: of the whole mass.
        """
        chosen = index.long().cpu().numpy()
        share = torch.as_tensor(insert_share, dtype=torch.float64).expand(len(chosen))
        found = with_insert(
            self.com[chosen],
            self._spread[chosen],
            mass=mass.double().numpy(),
            insert=np.zeros(3) if insert is None else insert.double().numpy(),
            share=share.numpy(),
        )
        body = model.body(name).id
        return {
            "body_mass": (body, torch.from_numpy(found.mass)),
            "body_ipos": (body, torch.from_numpy(found.com)),
            "body_iquat": (body, torch.from_numpy(found.quat)),
            "body_inertia": (body, torch.from_numpy(found.inertia)),
        }

    def _add_meshes(self, spec: mujoco.MjSpec) -> None:
        for solid in self.solids:
            for slot, part in enumerate(solid.parts):
                # without faces the compiler makes the convex hull of every mesh; of
                # one with faces only if a geom shows it in the model as compiled, and
                # meshes that lack a hull collide by other contacts
                spec.add_mesh(
                    name=_mesh(solid, slot), uservert=part.vertices.flatten().tolist()
                )
            for slot, surface in enumerate(_drawn(solid)):
                # the compiler wants four vertices, where a patch of a colour may have 3
                count = max(4, len(surface.vertices))
                mesh = spec.add_mesh(
                    name=_mesh(solid, f"seen{slot}"),
                    uservert=np.resize(surface.vertices, (count, 3)).flatten().tolist(),
                    userface=surface.faces.flatten().tolist(),
                )
                # what is drawn may be open, and hold no volume
                mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL

    def _rows(self, model: mujoco.MjModel) -> dict[str, Tensor]:
        """Return each geom's mesh, pose, bounds and use, by solid and slot.

        The compiler centres and turns meshes, which the pose of a geom undoes; and it
        bounds a geom by its mesh, which `mj_setConst` does not.
        """
        geoms = [self._geoms(solid) for solid in self.solids]
        ids = np.array([[model.mesh(g.mesh).id for g in row] for row in geoms])
        low, high = _extents(model)
        aabb = np.concatenate([low + high, high - low], axis=1) / 2
        rbound = np.linalg.norm(np.maximum(-low, high), axis=1)
        return {
            "mesh": torch.from_numpy(ids),
            "pos": torch.from_numpy(model.mesh_pos[ids]),
            "quat": torch.from_numpy(model.mesh_quat[ids]),
            "aabb": torch.from_numpy(aabb[ids]),
            "rbound": torch.from_numpy(rbound[ids]),
            "used": torch.tensor([[g.used for g in row] for row in geoms]),
            "rgba": torch.tensor([[g.rgba for g in row] for row in geoms]).double(),
        }

    def _geoms(self, solid: Solid) -> list[_Geom]:
        """Return what each geom of a body is for a solid: parts, then surfaces."""
        last = len(solid.parts) - 1
        parts = [
            _Geom(
                _mesh(solid, min(i, last)),
                i <= last,
                (*_COLOUR, float(i <= last and not _drawn(solid))),
            )
            for i in range(self.slots)
        ]
        drawn = [
            _Geom(_mesh(solid, f"seen{i}"), True, surface.rgba)
            for i, surface in enumerate(_drawn(solid))
        ]
        unused = _Geom(_mesh(solid, 0), False, (*_COLOUR, 0.0))
        return [*parts, *drawn, *[unused] * (self._surfaces - len(drawn))]


def shape_among(
    solids: Mapping[str, Solid], unseen: Mapping[str, Solid] = MappingProxyType({})
) -> Choice:
    """Make the hidden parameter `shape`: which solid an object is, by name."""
    return Choice(
        name="shape",
        options=tuple(solids),
        unseen=tuple(unseen),
        traits=Traits(solids, unseen),
    )


def _mesh(solid: Solid, slot: int | str) -> str:
    return f"{solid.name}:{slot}"


def _drawn(solid: Solid) -> list[Visual]:
    """Return the surfaces that the compiler takes: those with any area."""
    return [v for v in solid.visual if _area(v) > 1e-12]


def _area(surface: Visual) -> float:
    a, b, c = surface.vertices[surface.faces].transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def _extents(model: mujoco.MjModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the greatest corner of each mesh in its own frame [m]."""
    starts = model.mesh_vertadr
    vertices = model.mesh_vert.astype(np.float64)
    return np.minimum.reduceat(vertices, starts), np.maximum.reduceat(vertices, starts)
