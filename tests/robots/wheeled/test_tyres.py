"""Soft tyres slip in proportion to the force on them, up to their grip."""

import mujoco
import numpy as np
import pytest
import torch

from robots.wheeled.car import Car
from robots.wheeled.figures import SINK, WEIGHT, WHEEL_RADIUS, WHEELS
from robots.wheeled.road import make_scene
from robots.wheeled.tyres import SoftTyres, soften_tyres
from tasks.family import per_world


def make_model() -> mujoco.MjModel:
    scene = make_scene()
    Car("a/").attach(scene)
    soften_tyres(scene, ["road"], "a/")
    return scene.compile()


def drift(softness: float, push: float, grip: float = 1.0, speed: float = 2.0) -> float:
    """Velocity to its left of a car that is pushed there, by a share of its weight."""
    model = make_model()
    tyres = SoftTyres(model, "road", "a/")
    fields = {
        **tyres.friction(torch.full((1, 4), grip)),
        **tyres.softness(torch.tensor([softness])),
    }
    for name, rows in per_world(model, **fields).items():
        getattr(model, name)[:] = rows[0].numpy()
    data = mujoco.MjData(model)
    data.qpos[2] -= SINK
    data.qvel[0] = speed
    for wheel in WHEELS:
        data.joint(f"a/{wheel}_spin").qvel[0] = speed / WHEEL_RADIUS
    found: list[float] = []
    for step in range(180):
        data.qfrc_applied[1] = push * WEIGHT * min(1.0, step / 20)
        mujoco.mj_step(model, data)
        assert data.ncon <= 4  # no contact is made twice
        yaw = 2 * np.arctan2(data.qpos[6], data.qpos[3])
        found.append(data.qvel[1] - yaw * data.qvel[0])
    return float(np.mean(found[-10:]))


def test_a_tyre_twice_as_soft_slips_twice_as_fast() -> None:
    slow, fast = (drift(softness, push=0.2) for softness in (0.1, 0.2))
    assert slow > 0.01
    assert fast / slow == pytest.approx(2, rel=0.1)
    assert drift(0.1, push=0.4) / slow == pytest.approx(2, rel=0.1)


def test_beyond_its_grip_it_slides() -> None:
    held, slides = (drift(0.1, push=0.4, grip=grip) for grip in (0.6, 0.2))
    assert slides > 5 * held


def test_a_scene_without_soft_tyres_is_refused() -> None:
    with pytest.raises(ValueError, match="no soft tyres of 'b/' on 'road' in this"):
        SoftTyres(make_model(), "road", "b/")
