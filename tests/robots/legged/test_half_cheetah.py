"""The half-cheetah, attached to a scene like any other robot."""

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from robots.legged.half_cheetah import HalfCheetah
from robots.sim.cpu import CpuSimulator


def scene() -> mujoco.MjSpec:
    """A floor like Gymnasium's, and its timestep."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.01
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[40, 40, 40],
        # the cheetah's own solver parameters, as every geom has in Gymnasium's file
        solref=[0.02, 1.0],
        solimp=[0.0, 0.8, 0.01, 0.5, 2.0],
        friction=[0.4, 0.1, 0.1],
    )
    return spec


def test_attached_it_runs_as_gymnasiums_does() -> None:
    spec = scene()
    robots = [HalfCheetah("a/"), HalfCheetah("b/")]
    for robot, y in zip(robots, (0.0, 2.0), strict=True):
        robot.attach(spec, pos=(0.0, y, 0.0))
    model = spec.compile()
    sim = CpuSimulator(model, worlds=1, substeps=5, threads=1)
    readings = sim.reset(torch.zeros(1, model.nq), torch.zeros(1, model.nv))
    env = gymnasium.make("HalfCheetah-v5", reset_noise_scale=0.0).unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    ctrl, second = torch.zeros(1, model.nu), robots[1]
    for _ in range(20):
        action = rng.uniform(-1, 1, 6)
        env.step(action)
        ctrl[:, second.controls(model)] = torch.from_numpy(action).float()
        readings = sim.step(ctrl)
    found = second.coordinates(model).positions(readings)[0].numpy()
    np.testing.assert_allclose(found, env.data.qpos, atol=1e-4)  # pyright: ignore
    assert abs(found[0]) > 0.05
    idle = robots[0].coordinates(model).positions(readings)[0, 0]
    assert abs(idle.item()) < 0.05


def test_attached_it_weighs_what_gymnasiums_does() -> None:
    spec = scene()
    HalfCheetah("a/").attach(spec)
    model, own = spec.compile(), HalfCheetah().compile_alone()
    np.testing.assert_allclose(model.body_mass, own.body_mass, rtol=1e-12)
    np.testing.assert_allclose(model.body_inertia, own.body_inertia, rtol=1e-12)
    assert own.body_mass.sum() == pytest.approx(14.0)
