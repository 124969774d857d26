"""Measure how deep objects get into the robot and the table in random episodes.

    python -m benchmarks.penetration FAMILY [--episodes 1000] [--object FILE|FOLDER]

Without an object: boxes at the corners of what the family handles. Looked at in every
physics step, and against every geom of the robot, whether or not it collides. Contacts
are soft, and within a physics step a blow goes 7 mm: no depth is 0.
"""

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import mujoco
import numpy as np
import torch
import tyro
from jaxtyping import Float, Int
from tyro import conf

from robots.sim.cpu import CpuSimulator
from tasks.family import Family, Instant
from tasks.manipulation.handles import Handles
from tasks.manipulation.handling import BODY, HandlingFamily
from tasks.objects.object_set import ObjectSet, load_objects
from tasks.objects.polyhedra import loft, rectangle
from tasks.objects.solids import Part, Solid, placed
from tasks.registry import FAMILIES, make_family

TOLERANCE = {"push": (0.008, 0.004), "grasp": (0.009, 0.025), "strike": (0.013, 0.004)}
"""Greatest depth in the robot, and in the table [m]. `strike` hits at 1.4 m/s. In
`grasp`, the far edge of what stands on its end and is let go falls at 2 m/s: 11 mm in
one physics step, after which the contact, as soft as in training, gives 6 mm more."""
PART = 100  # episodes that are simulated at once


@dataclass
class Depths:
    """The deepest that anything of the object was in something else [m]."""

    table: float = 0.0
    robot: dict[str, float] = field(default_factory=dict)
    """By body of the robot."""

    @property
    def deepest(self) -> tuple[float, float]:
        """The greatest depth in the robot, and in the table."""
        return max(self.robot.values(), default=0.0), self.table

    def note(self, body: str, depth: float) -> None:
        """Keep a depth, if it is the deepest of a body."""
        self.robot[body] = max(self.robot.get(body, 0.0), depth)

    def __str__(self) -> str:
        """All of it, in millimetres."""
        parts = {"table": self.table, **self.robot}
        return ", ".join(f"{name} {1000 * d:.1f} mm" for name, d in parts.items() if d)


def deepest(
    family: Family,
    episodes: int,
    *,
    seed: int = 0,
    split: str = "extrapolation",
    every: int = 1,
) -> Depths:
    """Run random episodes and return how deep the object got into what.

    Half of them act uniformly at random, and half hold a saturated action for a while.

    Args:
        family: handles an object.
        episodes: their number; each is of a task of its own.
        seed: decides the tasks, the actions and the initial states.
        split: where the tasks come from.
        every: look at every so many physics steps.
    """
    found = Depths()
    for part in range(0, episodes, PART):
        count = min(PART, episodes - part)
        sim, states = _episodes(family, count, seed + part, split)
        for world in range(count):
            model = sim.model_of(world)
            _look(model, states[::every, world], found)
    return found


def _episodes(
    family: Family, count: int, seed: int, split: str
) -> tuple[CpuSimulator, Float[np.ndarray, "time world state"]]:
    """Return worlds, and their states after every physics step of an episode."""
    tasks = family.sample(split, seed, count)
    values = family.values(tasks)
    # one physics step a call: controls are held as long as the family's
    sim = CpuSimulator(
        family.model, worlds=count, substeps=1, fields=family.fields, threads=1
    )
    sim.assign(family.model_fields(values))
    rng = torch.Generator().manual_seed(seed)
    readings = sim.reset(*family.start(values, rng))
    states = [sim.state()]
    held = torch.zeros(count, family.action_dim)
    for step in range(family.horizon):
        action = 2 * torch.rand(count, family.action_dim, generator=rng) - 1
        if step % 4 == 0:
            held = action.sign()
        action[::2] = held[::2]
        now = Instant(
            readings=readings,
            progress=torch.full((count,), step / family.horizon),
            values=values,
        )
        control = family.control(now, action)
        for _ in range(family.substeps):
            readings = sim.step(control)
            states.append(sim.state())
    return sim, np.stack(states)


def extremes(handles: Handles) -> ObjectSet:
    """Return a box at every corner of what a family handles."""
    slope = math.tan(handles.slope)
    boxes: list[Solid] = []
    for length, width, height in itertools.product(*handles.ranges.values()):
        steady = min(length, width) / slope if slope else height
        boxes.append(_box(length, width, min(height, steady)))
    return ObjectSet(tuple(boxes))


def _box(length: float, width: float, height: float) -> Solid:
    name = "x".join(f"{100 * size:g}" for size in (length, width, height))
    base = rectangle(0.0, 0.0, length, width)
    return placed(Solid(name, (Part(loft([(base, 0.0), (base, height)])),)))


def _look(
    model: mujoco.MjModel, states: Float[np.ndarray, "time state"], found: Depths
) -> None:
    data = mujoco.MjData(model)
    mine, theirs = _geoms(model)
    reach = model.geom_rbound[mine, None] + model.geom_rbound[None, theirs]
    for state in states:
        mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_kinematics(model, data)
        found.table = max(found.table, -_lowest(model, data, mine))
        apart = data.geom_xpos[mine, None] - data.geom_xpos[None, theirs]
        for i, j in np.argwhere(np.linalg.norm(apart, axis=-1) < reach):
            depth = -mujoco.mj_geomDistance(model, data, mine[i], theirs[j], 0.1, None)
            if depth > 0:
                body = model.body(int(model.geom_bodyid[theirs[j]])).name
                found.note(body, depth)


def _geoms(model: mujoco.MjModel) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]:
    """Return the object's geoms that are in use, and the robot's."""
    body = model.geom_bodyid
    collide = (model.geom_contype | model.geom_conaffinity) > 0
    mine = (body == model.body(BODY).id) & (model.geom_margin > -1) & collide
    robot = model.body_treeid == model.body_treeid[model.body("link7").id]
    return np.flatnonzero(mine), np.flatnonzero(robot[body])


def _lowest(
    model: mujoco.MjModel, data: mujoco.MjData, geoms: Int[np.ndarray, "n"]
) -> float:
    """Return the height of the lowest point of some geoms [m]."""
    heights = [
        (_points(model, g) @ data.geom_xmat[g][6:]).min() + data.geom_xpos[g][2]
        for g in geoms
    ]
    return float(min(heights))


def _points(model: mujoco.MjModel, geom: int) -> Float[np.ndarray, "n 3"]:
    """Return the vertices of a mesh, or the corners of another geom's box."""
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.mesh(int(model.geom_dataid[geom]))
        start, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
        return model.mesh_vert[start : start + count]
    centre, half = np.split(model.geom_aabb[geom], 2)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    return centre + signs * half


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure how deep objects get into the robot and the table in random episodes."""

    family: Annotated[str, conf.Positional]
    """Name of a family that handles objects."""
    episodes: int = 1000
    """Number of episodes."""
    object: Path | None = None
    """A file or folder; by default boxes at the corners of what the family handles."""


def main() -> None:
    """Print the greatest depths, beside what is tolerated."""
    options = tyro.cli(Options)
    kind = FAMILIES[options.family]
    if not issubclass(kind, HandlingFamily):
        raise SystemExit(f"{options.family} handles no object")
    objects = load_objects(options.object) if options.object else extremes(kind.handles)
    found = deepest(make_family(options.family, objects=objects), options.episodes)
    tolerated = TOLERANCE[options.family]
    robot, table = (f"{1000 * depth:g} mm" for depth in tolerated)
    print(f"{options.family}, {options.episodes} episodes with {objects.name}: {found}")
    print(f"tolerated: {robot} in the robot, {table} in the table")
    if any(
        d > t for d, t in zip(found.deepest, TOLERANCE[options.family], strict=True)
    ):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
