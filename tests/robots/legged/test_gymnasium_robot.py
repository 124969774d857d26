"""Gymnasium's robots, attached to a scene like any other robot."""

from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from robots.legged.ant import Ant
from robots.legged.gymnasium_robot import GymnasiumRobot
from robots.legged.half_cheetah import HalfCheetah
from robots.legged.walker2d import Walker2d
from robots.sim.cpu import CpuSimulator


class Kind(NamedTuple):
    """A robot, Gymnasium's environment of it, and the total mass of the model."""

    robot: type[GymnasiumRobot]
    env: str
    mass: float


KINDS = [
    Kind(HalfCheetah, "HalfCheetah-v5", 14.0),
    Kind(Ant, "Ant-v5", 0.9108),
    Kind(Walker2d, "Walker2d-v5", 23.6771),
]
FIELDS = (
    "body_mass",
    "body_inertia",
    "geom_size",
    "geom_friction",
    "jnt_range",
    "dof_damping",
    "dof_invweight0",
    "actuator_gear",
    "qpos0",
)
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.robot.name)


def scene(kind: Kind) -> mujoco.MjSpec:
    """A floor like Gymnasium's, with its timestep and integrator."""
    own, spec = kind.robot().compile_alone(), mujoco.MjSpec()
    floor = own.geom("floor").id
    spec.option.timestep = own.opt.timestep
    spec.option.integrator = own.opt.integrator
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[40, 40, 40],
        solref=own.geom_solref[floor],
        solimp=own.geom_solimp[floor],
        friction=own.geom_friction[floor],
        margin=own.geom_margin[floor],
        condim=int(own.geom_condim[floor]),
    )
    return spec


@every
def test_attached_it_runs_as_gymnasiums_does(kind: Kind) -> None:
    spec = scene(kind)
    robots = [kind.robot("a/"), kind.robot("b/")]
    for robot, y in zip(robots, (0.0, 3.0), strict=True):
        robot.attach(spec, pos=(0.0, y, 0.0))
    model = spec.compile()
    env: Any = gymnasium.make(kind.env, frame_skip=5, reset_noise_scale=0.0).unwrapped
    env.reset(seed=0)
    sim = CpuSimulator(model, worlds=1, substeps=5, threads=1)
    rest = torch.from_numpy(model.qpos0).float()[None]
    readings = sim.reset(rest, torch.zeros(1, model.nv))
    rng = np.random.default_rng(0)
    ctrl, second = torch.zeros(1, model.nu), robots[1]
    for _ in range(20):
        action = rng.uniform(-1, 1, env.model.nu)
        env.step(action)
        ctrl[:, second.controls(model)] = torch.from_numpy(action).float()
        readings = sim.step(ctrl)
    expected = env.data.qpos.copy()
    if kind.robot is Ant:
        expected[1] += 3.0  # where it was attached
    found = second.coordinates(model).positions(readings)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    first = robots[0].coordinates(model).positions(readings)[0].numpy()
    assert np.abs(first[3:] - found[3:]).max() > 0.1


@every
def test_attached_it_weighs_what_gymnasiums_does(kind: Kind) -> None:
    spec = scene(kind)
    kind.robot("a/").attach(spec)
    model, own = spec.compile(), kind.robot().compile_alone()
    np.testing.assert_allclose(model.body_mass, own.body_mass, rtol=1e-12)
    np.testing.assert_allclose(model.body_inertia, own.body_inertia, rtol=1e-12)
    assert own.body_mass.sum() == pytest.approx(kind.mass, rel=1e-4)


@every
def test_alone_it_is_gymnasiums_own_model(kind: Kind) -> None:
    """Field by field; only motors have got names."""
    own = kind.robot().compile_alone()
    env: Any = gymnasium.make(kind.env).unwrapped
    for field in FIELDS:
        found, expected = getattr(own, field), getattr(env.model, field)
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=field)
