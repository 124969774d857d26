"""Many solids in one compiled model, and each world's choice among them.

Every solid's parts are meshes of the model. A body of the bank has as many mesh geoms
as the solid with most parts; a world's `geom_dataid` says which meshes they show there,
and geoms that its solid has no part for are switched off by a margin of -1e6 m, as in
`shapes.py`.
"""

from collections.abc import Sequence

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Num
from numpy.typing import NDArray
from torch import Tensor

from tasks.objects.solids import Solid, spread_of, traits, with_insert
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
        """Geoms of a body."""
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
            name: of the body and its joint; geoms are `NAME_0`, `NAME_1` ...
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
                meshname=_mesh(self.solids[0], min(slot, self._last(0))),
            )
        return body

    def geoms(self, model: mujoco.MjModel, name: str) -> list[int]:
        """Return the ids of a body's geoms."""
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
        rows = self._rows(model)
        chosen = index.long().cpu()
        geoms = self.geoms(model, name)
        used = rows["used"][chosen]
        colour = torch.tensor(_COLOUR).double().expand(*used.shape, 3)
        return {
            "geom_dataid": (geoms, rows["mesh"][chosen]),
            "geom_pos": (geoms, rows["pos"][chosen]),
            "geom_quat": (geoms, rows["quat"][chosen]),
            "geom_aabb": (geoms, rows["aabb"][chosen]),
            "geom_rbound": (geoms, rows["rbound"][chosen]),
            "geom_margin": (geoms, torch.where(used, 0.0, _OFF).double()),
            "geom_rgba": (geoms, torch.cat([colour, used[..., None]], dim=-1)),
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

    def _rows(self, model: mujoco.MjModel) -> dict[str, Tensor]:
        """Return each geom's mesh, pose, bounds and use, by solid and slot.

        The compiler centres and turns meshes, which the pose of a geom undoes; and it
        bounds a geom by its mesh, which `mj_setConst` does not.
        """
        ids = np.array(
            [
                [
                    model.mesh(_mesh(solid, min(slot, self._last(i)))).id
                    for slot in range(self.slots)
                ]
                for i, solid in enumerate(self.solids)
            ]
        )
        low, high = _extents(model)
        aabb = np.concatenate([low + high, high - low], axis=1) / 2
        rbound = np.linalg.norm(np.maximum(-low, high), axis=1)
        slots = np.arange(self.slots)
        last = np.array([self._last(i) for i in range(len(self.solids))])
        return {
            "mesh": torch.from_numpy(ids),
            "pos": torch.from_numpy(model.mesh_pos[ids]),
            "quat": torch.from_numpy(model.mesh_quat[ids]),
            "aabb": torch.from_numpy(aabb[ids]),
            "rbound": torch.from_numpy(rbound[ids]),
            "used": torch.from_numpy(slots <= last[:, None]),
        }

    def _last(self, index: int) -> int:
        return len(self.solids[index].parts) - 1


def shape_among(solids: Sequence[Solid], unseen: Sequence[Solid] = ()) -> Choice:
    """Make the hidden parameter `shape`: which solid an object is."""
    return Choice(
        name="shape",
        options=tuple(s.name for s in solids),
        unseen=tuple(s.name for s in unseen),
        traits={s.name: traits(s) for s in (*solids, *unseen)},
    )


def _mesh(solid: Solid, slot: int) -> str:
    return f"{solid.name}:{slot}"


def _extents(model: mujoco.MjModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the greatest corner of each mesh in its own frame [m]."""
    starts = model.mesh_vertadr
    vertices = model.mesh_vert.astype(np.float64)
    return np.minimum.reduceat(vertices, starts), np.maximum.reduceat(vertices, starts)
