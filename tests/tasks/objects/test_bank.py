"""A bank's worlds against models that have just the one solid, compiled in plainly."""

from collections.abc import Sequence

import mujoco
import numpy as np
import pytest
import torch

from robots.sim.cpu import CpuSimulator
from robots.sim.gpu import WarpSimulator
from robots.sim.simulator import Pools, Simulator
from tasks.family import per_world
from tasks.objects.bank import BODY_FIELDS, GEOM_FIELDS, Bank
from tasks.objects.solids import Part, Solid, mass_properties, placed

SUBSTEPS, PERIODS = 10, 40
MASS, SHARE, INSERT = 0.4, 0.3, (0.01, -0.02, 0.015)


def block(*box: float, density: float = 1.0) -> Part:
    """A box from x0, y0, z0 to x1, y1, z1."""
    low, high = np.array(box[:3]), np.array(box[3:])
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    return Part(low + np.array(corners) * (high - low), density)


def hull(seed: int) -> Solid:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(60, 3))
    points *= np.array([0.05, 0.03, 0.02]) / np.linalg.norm(points, axis=1)[:, None]
    points[:, 2] = np.maximum(points[:, 2], -0.012)
    return placed(Solid(f"hull-{seed}", (Part(points),)))


SOLIDS = (
    placed(Solid("box", (block(0, 0, 0, 0.1, 0.06, 0.04),))),
    placed(
        Solid(
            "ell",
            (
                block(0, 0, 0, 0.1, 0.03, 0.04),
                block(0, 0.03, 0, 0.03, 0.09, 0.04, density=3.0),
            ),
        )
    ),
    hull(1),
    placed(
        Solid(
            "table",
            (
                block(0, 0, 0.02, 0.12, 0.08, 0.035),
                block(0, 0, 0, 0.02, 0.08, 0.02),
                block(0.1, 0, 0, 0.12, 0.02, 0.02),
                block(0.1, 0.06, 0, 0.12, 0.08, 0.02),
            ),
        )
    ),
    hull(2),
)


def scene() -> mujoco.MjSpec:
    """A floor, and a block on a rail that pushes what lies on it along x."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.002
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], friction=[1] * 3
    )
    pusher = spec.worldbody.add_body(name="pusher", pos=[-0.12, 0.01, 0.03])
    pusher.add_joint(name="rail", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[1, 0, 0])
    for name, y in (("upper", 0.02), ("lower", -0.02)):
        pusher.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[0, y, 0],
            size=[0.02, 0.015, 0.025],
            mass=0.5,
        )
    motor = spec.add_actuator(name="rail", target="rail")
    motor.trntype = mujoco.mjtTrn.mjTRN_JOINT
    motor.set_to_velocity(kv=50.0)
    return spec


def plain(solid: Solid, *, inferred: bool) -> mujoco.MjModel:
    """The scene with this one solid; inferred: its inertia is the compiler's."""
    spec = scene()
    body = spec.worldbody.add_body(name="object", simple=False)
    body.add_freejoint(name="object")
    if not inferred:
        m = mass_properties(solid, mass=MASS, insert=INSERT, insert_share=SHARE)
        body.explicitinertial = True
        body.mass, body.ipos = float(m.mass), m.com
        body.iquat, body.inertia = m.quat, m.inertia
    for i, part in enumerate(solid.parts):
        mesh = spec.add_mesh(name=f"part{i}", uservert=part.vertices.flatten())
        if inferred:
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_EXACT
            mesh.userface = solid.triangles[i].flatten()
        body.add_geom(
            name=f"object_{i}",
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=f"part{i}",
            density=1000 * part.density,
        )
    return spec.compile()


def banked() -> tuple[mujoco.MjModel, dict[str, torch.Tensor]]:
    bank = Bank(SOLIDS)
    spec = scene()
    bank.add_to(spec, "object", (0.0, 0.0, 0.0))
    model = spec.compile()
    worlds = len(SOLIDS)
    index = torch.arange(worlds)
    entries = bank.fields(model, "object", index) | bank.inertia(
        model,
        "object",
        index,
        mass=torch.full((worlds,), MASS, dtype=torch.float64),
        insert=torch.tensor(INSERT, dtype=torch.float64).expand(worlds, 3),
        insert_share=torch.full((worlds,), SHARE, dtype=torch.float64),
    )
    return model, per_world(model, **entries)


def run(sim: Simulator) -> torch.Tensor:
    """Dropped a little tilted and then pushed: (time, world, qpos)."""
    qpos = torch.zeros(sim.worlds, 8)
    qpos[:, 3] = 0.01
    qpos[:, 4:] = torch.tensor([1.0, 0.02, 0.03, 0.1]) / 1.0057
    readings = sim.reset(qpos, torch.zeros(sim.worlds, 7))
    states = []
    for period in range(PERIODS):
        speed = 0.0 if period < PERIODS // 3 else 0.25
        readings = sim.step(torch.full((sim.worlds, 1), speed))
        assert not readings.fault.any()
        states.append(readings.qpos)
    return torch.stack(states)


def on_cpu(model: mujoco.MjModel, worlds: int, fields: Sequence[str]) -> CpuSimulator:
    return CpuSimulator(
        model, worlds=worlds, substeps=SUBSTEPS, fields=fields, threads=1
    )


@pytest.fixture(scope="module")
def trajectories() -> torch.Tensor:
    model, fields = banked()
    sim = on_cpu(model, len(SOLIDS), tuple(fields))
    sim.assign(fields)
    return run(sim)


@pytest.mark.parametrize("i", range(len(SOLIDS)))
def test_a_world_moves_as_the_solid_alone_does(
    i: int, trajectories: torch.Tensor
) -> None:
    alone = run(on_cpu(plain(SOLIDS[i], inferred=False), 1, ()))
    pushed = alone[-1, 0] - alone[PERIODS // 3, 0]
    assert pushed[1:4].abs().max() > 0.01  # or there would be nothing to compare
    torch.testing.assert_close(trajectories[:, i], alone[:, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("i", range(len(SOLIDS)))
def test_mass_properties_and_bounds_are_the_compilers(i: int) -> None:
    model, fields = banked()
    sim = on_cpu(model, len(SOLIDS), tuple(fields))
    sim.assign(fields)
    mine, theirs = sim.model_of(i), plain(SOLIDS[i], inferred=True)
    for k in range(len(SOLIDS[i].parts)):
        for name in ("pos", "aabb", "rbound"):
            found, expected = (
                getattr(m, f"geom_{name}")[m.geom(f"object_{k}").id]
                for m in (mine, theirs)
            )
            np.testing.assert_allclose(found, expected, atol=1e-7)
    uneven = mass_properties(SOLIDS[i], mass=MASS, insert=INSERT, insert_share=SHARE)
    np.testing.assert_allclose(mine.body("object").ipos, uneven.com, atol=1e-12)
    even = mass_properties(SOLIDS[i], mass=float(theirs.body("object").mass[0]))
    np.testing.assert_allclose(theirs.body("object").ipos, even.com, atol=1e-8)
    np.testing.assert_allclose(
        theirs.body("object").inertia, even.inertia, rtol=1e-6, atol=1e-12
    )


def test_another_assignment_keeps_the_bounds() -> None:
    model, fields = banked()
    sim = on_cpu(model, len(SOLIDS), tuple(fields))
    sim.assign(fields)
    sim.assign({"body_mass": fields["body_mass"]})
    for i in range(len(SOLIDS)):
        np.testing.assert_allclose(
            sim.model_of(i).geom_rbound, fields["geom_rbound"][i].numpy()
        )


def test_the_broad_phase_goes_by_each_worlds_own_solid() -> None:
    """As compiled, the bounds are of the small solid: the large one would miss."""
    solids = (
        placed(Solid("small", (block(0, 0, 0, 0.01, 0.01, 0.01),))),
        placed(Solid("large", (block(0, 0, 0, 0.2, 0.2, 0.2),))),
    )
    bank, spec = Bank(solids), mujoco.MjSpec()
    bank.add_to(spec, "object", (0.0, 0.0, 0.0))
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.01, 0, 0], pos=[0.105, 0, 0.1]
    )
    model = spec.compile()
    fields = per_world(model, **bank.fields(model, "object", torch.tensor([0, 1])))
    sim = CpuSimulator(model, worlds=2, substeps=1, fields=tuple(fields), threads=1)
    sim.assign(fields)
    qpos = torch.zeros(2, 7)
    qpos[:, 3] = 1.0
    sim.reset(qpos, torch.zeros(2, 6))
    assert (sim._ncon > 0).tolist() == [False, True]


def on_warp(model: mujoco.MjModel, worlds: int, fields: Sequence[str]) -> WarpSimulator:
    return WarpSimulator(
        model,
        worlds=worlds,
        substeps=SUBSTEPS,
        fields=fields,
        pools=Pools(contacts=64, constraints=256),
        device="cpu",
    )


def test_on_warp_too_a_world_moves_as_the_solid_alone_does() -> None:
    model, fields = banked()
    sim = on_warp(model, len(SOLIDS), tuple(fields))
    sim.assign(fields)
    found = run(sim)
    for i, solid in enumerate(SOLIDS):
        alone = run(on_warp(plain(solid, inferred=False), 1, ()))
        torch.testing.assert_close(found[:, i], alone[:, 0], rtol=0, atol=1e-6)


def test_warp_agrees_until_the_pusher_arrives(trajectories: torch.Tensor) -> None:
    # after that, two polyhedra may get another contact point more or less
    model, fields = banked()
    sim = on_warp(model, len(SOLIDS), tuple(fields))
    sim.assign(fields)
    dropped = run(sim)[: PERIODS // 2]
    torch.testing.assert_close(dropped, trajectories[: PERIODS // 2], rtol=0, atol=2e-6)


def test_a_bank_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="solids of different names, got box, box"):
        Bank([SOLIDS[0], SOLIDS[0]])
    assert set(GEOM_FIELDS) | set(BODY_FIELDS) == set(banked()[1])
