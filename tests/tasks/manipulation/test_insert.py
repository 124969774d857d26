"""Pegs in holes: geometry as it is defined, forces as the servos' torques say."""

from functools import cache

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from robots.sim.cpu import CpuSimulator
from robots.sim.gpu import WarpSimulator
from tasks.env import Env
from tasks.family import Family
from tasks.manipulation import plate
from tasks.manipulation.insert import NOSE, RADIUS, SEEN, SPEED, START_HALF
from tasks.registry import make_family
from tasks.simulators import probe_pools
from tasks.task import Task

STATE = mujoco.mjtState.mjSTATE_INTEGRATION.value


@cache
def family_of_tests() -> Family:
    return make_family("insert")


def tasks_of_all_splits(count: int) -> list[Task]:
    family = family_of_tests()
    return [t for s in family.splits for t in family.sample(s, 0, count)]


def make_env(tasks: list[Task], simulator: WarpSimulator | None = None) -> Env:
    family = family_of_tests()
    env = Env(family, worlds=len(tasks), threads=1, simulator=simulator)
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    return env


def offsets(env: Env) -> Tensor:
    return torch.stack([env._values["offset_x"], env._values["offset_y"]], -1)


def nose(env: Env) -> Tensor:
    """Of each world: from where the hole is seen, on the plate's top [m]."""
    seen = torch.tensor([*SEEN, plate.HEIGHT + NOSE])
    return env._now.readings.sensors["tool_pos"] - seen


def towards(env: Env, place: Tensor, down: float | Tensor) -> Tensor:
    """Full speed to a place (world, 2), then on the spot; at most `down` downwards."""
    miss = place - nose(env)[:, :2]
    lateral = (miss / (SPEED[0] * env.sim.control_dt)).clamp(-1, 1)
    down = torch.as_tensor(down).expand(len(miss))
    return torch.cat([lateral, down[:, None]], dim=-1)


def descend(env: Env, place: Tensor, *, down: float = -0.5) -> None:
    """Lower the peg at a place (world, 2), coming from above."""
    for t in range(30):
        env.step(towards(env, place, 0.0 if t < 8 else down))


def data_of(env: Env, world: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
    assert isinstance(env.sim, CpuSimulator)
    model = env.sim.model_of(world)
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, env.sim.state()[world], STATE)
    mujoco.mj_forward(model, data)
    return model, data


# -- geometry ------------------------------------------------------------------------


@pytest.mark.parametrize("name", plate.HOLES)
def test_boxes_cover_the_plate_but_for_the_hole(name: str) -> None:
    inradius, centre = 0.012, np.array([0.03, -0.05])
    boxes = plate.geometry(
        torch.tensor([float(list(plate.HOLES).index(name))]),
        torch.tensor([inradius]),
        torch.from_numpy(centre).float()[None],
    )
    rng = np.random.default_rng(0)
    spread = rng.choice([0.03, plate.HALF], size=(20_000, 1))
    points = np.clip(centre + spread * rng.uniform(-1, 1, (20_000, 2)), -0.24, 0.24)
    covered = np.zeros(len(points), dtype=bool)
    used = boxes.margin[0] == 0
    rows = zip(
        boxes.pos[0][used], boxes.quat[0][used], boxes.size[0][used], strict=True
    )
    for pos, quat, size in rows:
        angle = 2 * np.arctan2(float(quat[3]), float(quat[0]))
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        local = (points - pos[:2].numpy()) @ turn
        covered |= (np.abs(local) <= size[:2].numpy() + 1e-9).all(1)
    sides = plate.HOLES[name]
    angles = 2 * np.pi * np.arange(sides) / sides
    normals = np.stack([np.cos(angles), np.sin(angles)])
    inside = ((points - centre) @ normals).max(1) < inradius
    assert inside.sum() > 50
    assert np.array_equal(covered, ~inside)
    # a corner is where two sides meet
    corner = points[inside] - centre
    reach = inradius * (1 + plate.corner_reach(name))
    assert np.linalg.norm(corner, axis=1).max() == pytest.approx(reach, rel=0.05)


def test_all_tasks_look_alike_until_the_hole_is_met() -> None:
    family = family_of_tests()
    tasks = tasks_of_all_splits(10)
    one = make_env(tasks[:1])
    start, still = one._now.readings, torch.zeros(1, 3)
    first = [one.family.observe(one._now), one.step(still).obs]
    for task in tasks[1:]:
        env = make_env([task])
        assert torch.equal(env._now.readings.qpos, start.qpos)
        assert torch.equal(env.family.observe(env._now), first[0])
        assert torch.equal(env.step(still).obs, first[1])
    fields = family.model_fields(family.values(tasks))
    frame = [family.model.geom(name).id for name in plate.FRAME]
    pos, size = fields["geom_pos"][:, frame, :2], fields["geom_size"][:, frame, :2]
    edge = torch.full((len(tasks), 2), plate.HALF)
    torch.testing.assert_close((pos + size).amax(1).float(), edge)
    torch.testing.assert_close((pos - size).amin(1).float(), -edge)


# -- the peg in its hole -------------------------------------------------------------


def test_the_peg_reaches_the_bottom_at_the_true_place() -> None:
    env = make_env(tasks_of_all_splits(20))
    descend(env, offsets(env))
    depth = -nose(env)[:, 2]
    assert (depth - plate.HEIGHT).abs().max() < 5e-4
    assert ((nose(env)[:, :2] - offsets(env)).norm(dim=-1) < 4e-3).all()


def test_the_peg_stays_on_the_plate_beside_the_hole() -> None:
    env = make_env(tasks_of_all_splits(20))
    angle = torch.arange(env.worlds) * 2.4
    off = torch.stack([angle.cos(), angle.sin()], dim=-1)
    # one and a half diameters away, which no hole's corner reaches
    descend(env, offsets(env) + 0.03 * off, down=-0.3)
    assert nose(env)[:, 2].abs().max() < 5e-4


@pytest.mark.parametrize("within", [True, False])
def test_the_peg_falls_in_where_it_fits_and_not_its_own_radius_away(
    within: bool,
) -> None:
    env = make_env(family_of_tests().sample("held-out", 0, 48))
    angle = torch.arange(env.worlds) * 2.4
    circle = torch.stack([angle.cos(), angle.sin()], dim=-1)
    clearance = env._values["clearance"]
    off = 0.8 * clearance if within else torch.full_like(clearance, RADIUS)
    place = offsets(env) + off[:, None] * circle
    descend(env, place, down=-0.4 if within else -0.2)
    depth = -nose(env)[:, 2]
    # outside, the round nose may dip into the edge
    assert (depth > 0.98 * plate.HEIGHT).all() if within else (depth < RADIUS).all()


def lean(env: Env, direction: Tensor) -> Tensor:
    """Push a peg that is in its hole; how far its axis then is from the middle [m]."""
    for _ in range(15):
        # off the floor, whose friction would hold the nose
        height = 5 * (-0.03 - nose(env)[:, 2:]) / SPEED[2]
        env.step(torch.cat([0.2 * direction, height], dim=-1))
    reached: list[float] = []
    for world in range(env.worlds):
        model, data = data_of(env, world)
        peg = model.geom("peg")
        axis = data.geom_xmat[peg.id].reshape(3, 3)[:, 2]
        end = data.geom_xpos[peg.id] + (peg.size[1]) * axis
        # its axis at the height of the nose's middle, and at that of the plate's top
        top = end + axis * (plate.HEIGHT - end[2]) / axis[2]
        true = np.array(SEEN) + offsets(env)[world].numpy()
        reached.append(
            max((p[:2] - true) @ direction[world].numpy() for p in (end, top))
        )
    return torch.tensor(reached).float()


@pytest.mark.parametrize("hole", ["square", "hexagon"])
def test_the_free_play_is_twice_the_clearance(hole: str) -> None:
    tasks = [t for t in tasks_of_all_splits(60) if t.parameters["hole"] == hole][::12]
    assert len(tasks) >= 5
    env = make_env(tasks)
    descend(env, offsets(env))
    for angle in (0.0, 2 * np.pi / plate.HOLES[hole]):
        way = torch.tensor([np.cos(angle), np.sin(angle)]).float()
        way = way.expand(env.worlds, 2)
        play = lean(env, way) + lean(env, -way)
        expected = 2 * env._values["clearance"]
        torch.testing.assert_close(play, expected, rtol=0.0, atol=2e-4)


def test_a_resting_peg_presses_as_its_servos_push() -> None:
    env = make_env(family_of_tests().sample("held-out", 0, 6))
    descend(env, offsets(env))
    for down in (-0.1, -0.2):
        for _ in range(10):
            env.step(torch.tensor([0.0, 0.0, down]).expand(env.worlds, 3))
        for world in range(env.worlds):
            model, data = data_of(env, world)
            assert np.abs(data.qvel).max() < 5e-3
            # servos of gain k that are asked for a velocity u and have v push with the
            # torques k (u - v); what the peg touches answers them
            torques = model.actuator_gainprm[:, 0] * (data.ctrl - data.qvel)
            left, lift = torques.copy(), 0.0
            for i, contact in enumerate(data.contact):
                found, jac = np.zeros(6), np.zeros((3, model.nv))
                mujoco.mj_contactForce(model, data, i, found)
                force = contact.frame.reshape(3, 3).T @ found[:3]
                if contact.geom1 == model.geom("peg").id:
                    force = -force
                body = model.body("tool").id
                mujoco.mj_jac(model, data, jac, None, contact.pos, body)
                left += jac.T @ force
                lift += force[2]
            assert np.abs(left).max() < 0.01 * np.abs(torques).max()
            assert lift > 5


# -- what makes it a task ------------------------------------------------------------


def play(env: Env, place: Tensor) -> Tensor:
    """Return of going to a place above the plate, and down there."""
    total = torch.zeros(env.worlds)
    for _ in range(env.horizon):
        here = nose(env)
        arrived = (place - here[:, :2]).norm(dim=-1) < 0.01
        hover = ((0.004 - here[:, 2]) / (SPEED[2] * env.sim.control_dt)).clamp(-1, 1)
        down = torch.where(arrived, -1.0, hover)
        total += env.step(towards(env, place, down)).reward
    return total


def succeeded(env: Env) -> Tensor:
    outcome = env.family.judge(env._now, env._now, torch.zeros(env.worlds, 3))
    return outcome.success.float()


def test_who_knows_the_place_succeeds_and_who_trusts_the_camera_does_not() -> None:
    tasks = family_of_tests().sample("held-out", 0, 100)
    told, blind = make_env(tasks), make_env(tasks)
    gained = play(told, offsets(told)).mean() - play(blind, 0 * offsets(blind)).mean()
    assert succeeded(told).mean() > 0.98
    assert succeeded(blind).mean() < 0.15
    assert gained > 1
    assert offsets(told).abs().max() > 4 * START_HALF


def test_insertion_is_the_same_on_warp() -> None:
    family = family_of_tests()
    tasks = tasks_of_all_splits(8)
    warp = WarpSimulator(
        family.model,
        worlds=len(tasks),
        substeps=family.substeps,
        pools=probe_pools(family),
        fields=family.fields,
        device="cpu",
    )
    one, other = make_env(tasks), make_env(tasks, warp)
    returns = [play(env, offsets(env)) for env in (one, other)]
    assert not other._now.readings.fault.any()
    assert torch.equal(succeeded(one), succeeded(other))
    torch.testing.assert_close(*returns, rtol=0.0, atol=5e-3)
