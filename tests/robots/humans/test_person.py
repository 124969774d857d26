"""A scripted person: what is around the hand, and how the hand gives way."""

import mujoco
import numpy as np

from robots.humans import person


def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec()
    spec.option.timestep, spec.option.integrator = 0.01, 3  # implicitfast
    person.add_person(spec, x=1.3)
    model = spec.compile()
    return model, mujoco.MjData(model)


def test_the_capsule_holds_all_that_can_be_touched() -> None:
    model, data = scene()
    mujoco.mj_kinematics(model, data)
    hand = data.body("hand").xpos
    touched = [g for g in range(model.ngeom) if model.geom(g).name in person.SKIN]
    assert len(touched) == 4
    assert not model.geom_contype.any(), "a family says who may touch whom"
    for g in touched:
        radius, half = model.geom_size[g, :2]
        axis = data.geom_xmat[g].reshape(3, 3)[:, 2]
        for end in (-half, half):
            at = data.geom_xpos[g] + end * axis - hand
            line = np.array([np.clip(at[0], person.FRONT, person.BACK), 0.0, 0.0])
            assert np.linalg.norm(at - line) + radius <= person.RADIUS + 1e-9


def test_a_lasting_pull_moves_the_hand_as_far_as_its_servo_is_soft() -> None:
    model, data = scene()
    data.ctrl[model.actuator(person.TUG).id] = -12.0
    for _ in range(300):
        mujoco.mj_step(model, data)
    moved = [data.joint(name).qpos[0] for name in person.HAND]
    np.testing.assert_allclose(moved, [-12.0 / person.STIFFNESS, 0, 0], atol=1e-6)


def test_a_target_that_moves_is_followed_at_a_constant_lag() -> None:
    model, data = scene()
    for _ in range(200):
        data.ctrl[model.actuator("hand_y").id] = 0.5 * data.time
        mujoco.mj_step(model, data)
    behind = 0.5 * data.time - data.joint("hand_y").qpos[0]
    np.testing.assert_allclose(behind, 0.5 * person.LAG, rtol=0.01)


def test_a_nod_is_forwards_and_the_head_stops_where_it_is_told_to() -> None:
    model, data = scene()
    data.ctrl[model.actuator(person.HEAD).id] = 1.0
    for _ in range(50):
        mujoco.mj_step(model, data)
    assert abs(data.joint(person.HEAD).qpos[0] - 0.5) < 0.05
    eye = model.body_geomadr[model.body("head").id + 1] - 1
    straight = -0.096 * np.cos(0.5) - 0.165 * np.sin(0.5)
    np.testing.assert_allclose(data.geom_xpos[eye][0], 1.3 + straight, atol=0.02)
    data.ctrl[:] = 0
    for _ in range(50):
        mujoco.mj_step(model, data)
    assert abs(data.joint(person.HEAD).qvel[0]) < 1e-6
