"""The contract of robots, kept by every registered one and by a toy."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import mujoco
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from robots.registry import ROBOTS, make_robot
from robots.robot import Controller, Robot
from robots.sim.coordinates import Columns, Coordinates
from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Readings

PLACES = {"left/": (0.0, 0.0, 0.0), "right/": (0.0, 3.0, 0.0)}
WIDTHS = {"cartesian-velocity": 3, "driver": 2}
"""Components of a command, where they are not one."""
TOY = """
<mujoco>
  <worldbody>
    <body name="hip" pos="0 0 1">
      <joint name="hip" axis="0 1 0"/>
      <geom size="0.05"/>
      <body name="spring" pos="0 0 -0.2">
        <joint name="spring" axis="0 1 0" stiffness="10"/>
        <geom size="0.05"/>
        <body name="knee" pos="0 0 -0.2">
          <joint name="knee" type="ball"/>
          <geom size="0.05"/>
          <body name="toe" pos="0 0 -0.2">
            <joint name="toe" axis="0 1 0"/>
            <geom size="0.05"/>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="hip" joint="hip"/>
    <motor name="spring" joint="spring"/>
    <motor name="toe" joint="toe"/>
  </actuator>
</mujoco>
"""


class Brake:
    """Pulls the hip back in proportion to its velocity."""

    def __init__(
        self, robot: Robot, model: mujoco.MjModel, *, device: torch.device | str = "cpu"
    ) -> None:
        self.hip = Coordinates(model, [robot.prefix + "hip"], device)

    def __call__(
        self, readings: Readings, command: Float[Tensor, "world 1"]
    ) -> Float[Tensor, "world 2"]:
        hip = -command * self.hip.velocities(readings)
        return torch.cat([hip, torch.zeros_like(hip)], dim=-1)


class Toy(Robot):
    """A leg whose spring is none of the joints that it is driven by."""

    name = "toy"
    joints = ("hip", "knee", "toe")
    actuators = ("hip", "toe")
    controllers: ClassVar[Mapping[str, Callable[..., Controller]]] = {"brake": Brake}

    def spec(self) -> mujoco.MjSpec:
        return mujoco.MjSpec.from_string(TOY)


def build(name: str, prefix: str) -> Robot:
    return Toy(prefix) if name == Toy.name else make_robot(name, prefix)


def pair(name: str) -> tuple[mujoco.MjModel, list[Robot]]:
    """Two robots of a kind in one scene, 3 m apart, on one floor."""
    scene = mujoco.MjSpec()
    scene.option.timestep = 0.005
    scene.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
    robots = [build(name, prefix) for prefix in PLACES]
    for robot in robots:
        robot.attach(scene, pos=PLACES[robot.prefix])
    return scene.compile(), robots


def named(model: mujoco.MjModel, kind: str, columns: Columns) -> set[str]:
    """Names of the joints or actuators that columns of qpos, qvel or ctrl belong to."""
    owners = {
        "qpos": [model.joint(np.searchsorted(model.jnt_qposadr, c, "right") - 1).name
                 for c in range(model.nq)],
        "qvel": [model.joint(int(j)).name for j in model.dof_jntid],
        "ctrl": [model.actuator(c).name for c in range(model.nu)],
    }[kind]  # fmt: skip
    return set(np.array(owners)[columns])


every_robot = pytest.mark.parametrize("name", [Toy.name, *ROBOTS])


@every_robot
def test_each_of_two_robots_finds_its_own_joints_and_actuators(name: str) -> None:
    model, robots = pair(name)
    for robot in robots:
        at = robot.coordinates(model)
        joints = {robot.prefix + joint for joint in robot.joints}
        assert named(model, "qpos", at.qpos) == joints
        assert named(model, "qvel", at.qvel) == joints
        actuators = {robot.prefix + actuator for actuator in robot.actuators}
        assert named(model, "ctrl", robot.controls(model)) == actuators


@every_robot
def test_a_robot_is_described_alone_and_afresh(name: str) -> None:
    robot = build(name, "")
    spec = robot.spec()
    assert not spec.lights
    assert mujoco.mjtGeom.mjGEOM_PLANE not in [g.type for g in spec.geoms]
    spec.delete(spec.bodies[1])
    assert len(robot.spec().bodies) > len(spec.bodies)
    model, (_, right) = pair(name)
    first = model.body(right.prefix + robot.spec().bodies[1].name)
    assert first.pos[1] == 3.0


@every_robot
def test_every_controller_drives_the_robot_that_it_was_built_for(name: str) -> None:
    model, robots = pair(name)
    sim = CpuSimulator(model, worlds=2, substeps=1, threads=1)
    start = torch.from_numpy(model.qpos0).float().repeat(2, 1)
    readings = sim.reset(start, 0.1 * torch.ones(2, model.nv))
    for robot in robots:
        for known in robot.controllers:
            control = robot.controller(known, model)
            command = torch.ones(2, WIDTHS.get(known, 1))
            ctrl = torch.zeros(2, model.nu)
            found = control(readings, command)
            columns = torch.arange(model.nu)[robot.controls(model)]
            ctrl[:, columns[: found.shape[1]]] = found
            assert found.abs().sum() > 0
            assert sim.step(ctrl).qpos.isfinite().all()


def test_joints_that_lie_apart_are_read_in_the_order_asked() -> None:
    model, (left, right) = pair(Toy.name)
    # hip, spring, knee (a quaternion), toe; then those of the other robot
    qpos = torch.arange(2 * model.nq).reshape(2, model.nq).float()
    qvel = -torch.arange(2 * model.nv).reshape(2, model.nv).float()
    readings = Readings(
        time=torch.zeros(2), qpos=qpos, qvel=qvel, sensors={}, fault=torch.zeros(2) > 0
    )
    at = right.coordinates(model)
    assert at.positions(readings)[0].tolist() == [7, 9, 10, 11, 12, 13]
    assert at.velocities(readings)[0].tolist() == [-6, -8, -9, -10, -11]
    assert Coordinates(model, ["left/toe", "left/hip"]).positions(readings)[
        0
    ].tolist() == [6, 0]
    written = torch.zeros(1, model.nq)
    written[:, left.coordinates(model).qpos] = 1.0
    assert written[0, :8].tolist() == [1, 0, 1, 1, 1, 1, 1, 0]


def test_coordinates_that_lie_side_by_side_are_a_slice() -> None:
    model, (_, right) = pair("panda")
    assert right.coordinates(model).qpos == slice(7, 14)
    assert right.controls(model) == slice(7, 14)


@pytest.mark.parametrize("name", [Toy.name, "panda"])
def test_coordinates_keep_to_their_device(name: str) -> None:
    """The meta device refuses tensors of any other device."""
    model, (left, _) = pair(name)
    at = left.coordinates(model, "meta")
    empty = torch.empty(4, model.nq, device="meta")
    readings = Readings(
        time=empty[:, 0], qpos=empty, qvel=empty, sensors={}, fault=empty[:, 0] > 0
    )
    width = {Toy.name: 6, "panda": 7}[name]
    if isinstance(at.qpos, torch.Tensor):  # a CPU's indices would be copied each time
        assert at.qpos.device.type == "meta"
    assert at.positions(readings).shape == (4, width)
    assert at.positions(readings).device.type == "meta"


def test_what_a_scene_does_not_hold_is_refused_with_what_it_holds() -> None:
    model, _ = pair(Toy.name)
    stranger = Toy("middle/")
    with pytest.raises(
        ValueError, match="has no joint 'middle/hip'; joints: left/hip, left/spring"
    ):
        stranger.coordinates(model)
    with pytest.raises(
        ValueError, match="has no actuator 'middle/hip'; actuators: left/hip"
    ):
        stranger.controls(model)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match="unknown robot 'pand'; robots: ant, car, half-cheetah, panda, panda-grip",
    ):
        make_robot("pand")
    model, (cheetah, _) = pair("half-cheetah")
    with pytest.raises(ValueError, match="has no controller 'pid'; controllers: none"):
        cheetah.controller("pid", model)
    model, (arm, _) = pair("panda")
    with pytest.raises(ValueError, match="controllers: cartesian-velocity"):
        arm.controller("pid", model)


def test_the_registry_builds_by_name_with_a_prefix() -> None:
    for name, kind in ROBOTS.items():
        robot = make_robot(name, "a/")
        assert type(robot) is kind
        assert (robot.name, robot.prefix) == (name, "a/")
