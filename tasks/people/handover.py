"""handover: give a thing to a person, or take it, as that person likes it.

People reach out to a place of their own, wait for a moment of their own, and want to
feel a pull or a push of their own strength before they let go or take hold. None of it
shows beforehand: the robot sees the hand late, is slow near it, and has one try.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from robots.arms.gripper import FINGERS, FORCE, OPEN, PandaGripper
from robots.humans import person
from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant, Outcome
from tasks.manipulation.arm_family import ArmFamily, around
from tasks.parameters import Choice, Scalar
from tasks.people import rod, safety, script
from tasks.rewards import closeness
from tasks.task import Task

SPEED = 0.8  # [m/s], of a full command
APART = 0.25  # [m], from the hand to the tool, both of which hold the rod
SEEN = 0.95  # [m], x of the hand beyond which the robot does not see it
NEAR, TOUCH = 0.05, 0.10  # [m], off the right place: where it counts, where one feels
CLOSE = 0.5  # the fourth command, from which on the robot tries to hand over
FORCES = (3.0, 30.0)  # [N], of the least and the greatest pull or push
KEEP = 0.20  # [m], that the hand stays short of the gripper in its way


class Handover(ArmFamily):
    """Give and take a rod, at a scripted person's place, moment and strength."""

    name = "handover"
    summary = "hand a rod over to a person or take it, as that person likes it"
    success = "the rod is in the hand that it was meant for, and nobody was startled"
    horizon = 28
    substeps = 10
    obs_dim = 15
    action_dim = 5
    robot = PandaGripper()
    start_x, start_y, tool_z = around(0.42, 0.02), around(0.0, 0.05), 0.35
    splits = (*Family.splits, "unseen")
    fixed_within_episode: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "direction",
            "handed",
            "height",
            "reach_time",
            "hesitation",
            "grip",
            "style",
        ),
        "the person is reaching",
    )
    parameters = (
        Choice(name="direction", options=("gives", "takes"), hidden=False),
        Choice(name="handed", options=("left", "right")),
        Scalar(
            name="height",
            unit="m",
            low=0.22,
            high=0.50,
            hole=(0.38, 0.42),
            beyond=((0.18, 0.22), (0.50, 0.56)),
        ),
        Scalar(name="reach_time", unit="s", low=0.6, high=1.0, beyond=((0.5, 0.6),)),
        Scalar(
            name="hesitation",
            unit="s",
            low=0.0,
            high=0.7,
            hole=(0.4, 0.5),
            beyond=((0.7, 0.85),),
        ),
        Scalar(
            name="grip",
            unit="N",
            low=3.5,
            high=14.0,
            hole=(6.0, 7.0),
            beyond=((2.8, 3.5), (14.0, 17.0)),
            log=True,
        ),
        Choice(
            name="style",
            options=("steady",),
            unseen=("impatient",),
            traits={"steady": (0.0,), "impatient": (0.0,)},
        ),
    )
    fields = ()
    weights: ClassVar[Mapping[str, float]] = {
        "near": 0.5 / horizon,
        "tried": 1.0,
        "stopped": -0.5 / horizon,
    }

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        model = self.model
        self._fingers = Coordinates(model, FINGERS, device)
        self.hand = Coordinates(model, person.HAND, device)
        self._rod = Coordinates(model, rod.JOINTS, device)
        self._stand = Coordinates(model, [person.STAND], device)
        self._head = Coordinates(model, [person.HEAD], device)
        self._period = self.substeps * model.opt.timestep
        self._low, self._high = torch.tensor(safety.WALLS, device=device).unbind(-1)
        self._offset = torch.tensor([APART, 0.0, 0.0], device=device)

    def compile(self) -> mujoco.MjModel:
        """Build the arm with its fingers, a person, and the rod."""
        spec = self.robot.scene()
        person.add_person(spec, x=1.28)
        spec.option.timestep = 0.01
        # what is behind the wrist stays out of reach
        self.robot.let_touch(spec, person.SKIN, "link6")
        rod.add_rod(spec, APART)
        camera = spec.camera("overview")
        camera.pos = np.array([0.75, -1.75, 0.95])
        camera.alt.xyaxes = np.array([1, 0, 0, 0, 0.37, 0.93])
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """Nothing of the model differs: people differ in what they do."""
        return {}

    def object_of(self, task: Task) -> str:
        """Return nothing: no two people are the same, whatever their style."""
        return ""

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Draw where the person stands; the rod is with whoever gives it."""
        worlds = len(values["grip"])
        u = torch.rand(worlds, 3, generator=rng, device=self.device)
        qpos, qvel = self.begin(u[:, :2])
        stand = 0.04 * (2 * u[:, 2] - 1)
        qpos[:, self._stand.qpos] = stand[:, None]
        hand = script.place(values, stand, torch.zeros_like(stand))
        qpos[:, self.hand.qpos] = hand
        low, high = torch.tensor(
            [self.start_x, self.start_y, (self.tool_z, self.tool_z)], device=self.device
        ).unbind(-1)
        tool = low + (high - low) * torch.nn.functional.pad(u[:, :2], (0, 1))
        takes = values["direction"][:, None] > 0
        middle = torch.where(takes, tool + self._offset / 2, hand - self._offset / 2)
        qpos[:, self._rod.qpos] = middle
        qpos[:, self._fingers.qpos] = torch.where(takes, rod.RADIUS, OPEN)
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Move the tool safely, and hand over by a pull or a push when told to.

        The rest is what the person does.
        """
        r, v = now.readings, now.values
        arm = self.move(now, self.safe(now, action).velocity)
        tried, done = self._tried(now, action)
        takes, mood = v["direction"] > 0, self.mood(now)
        nod = self._head.positions(r)[:, 0]
        turn = torch.where(mood == 0, tried.float() * (2 * done.float() - 1), mood)
        turn = script.NOD_RATE * turn * (nod.abs() < script.NOD)
        feels = tried & (self._off_place(now) < TOUCH)
        tug = torch.minimum(_force(action), v["grip"]) * feels * (2 * takes - 1.0)
        by_hand = torch.where(takes, mood > 0, mood <= 0)
        by_tool = torch.where(takes, mood == 0, mood > 0)
        closed = by_tool | (action[:, 3] > CLOSE)
        width = torch.where(closed, rod.RADIUS, OPEN)
        grip = 300 * (width - self._fingers.positions(r)[:, 0])
        grip = grip.clamp(-FORCE, FORCE)
        rest = torch.stack([grip, *self._reach(now).unbind(-1), turn, tug], dim=-1)
        holds = torch.stack([by_hand, by_tool], dim=-1).float()
        return torch.cat([arm, rest, holds.repeat_interleave(3, dim=1)], dim=-1)

    def safe(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> safety.Checked:
        """Return the velocity that the tool is given [m/s], and where it is stopped."""
        tool = now.readings.sensors["tool_pos"]
        hand = self.hand.positions(now.readings)
        return safety.check(self.wanted(now, action), tool, hand)

    def wanted(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world 3"]:
        """Return the velocity that is asked for [m/s], as far as the arm reaches."""
        tool = now.readings.sensors["tool_pos"]
        return safety.within_reach(SPEED * action[:, :3], tool)

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Return the tool, the hand once it is near, what the head says, and time."""
        r = now.readings
        tool, hand = r.sensors["tool_pos"], self.hand.positions(r)
        seen = (hand[:, :1] < SEEN).float()
        centre = (self._low + self._high) / 2
        return torch.cat(
            [
                5 * (tool - centre),
                2 * r.sensors["tool_vel"],
                5 * seen * (hand - self._offset - tool),
                20 * seen * (hand[:, :1] - script.PLACE_X),
                seen,
                20 * self._stand.positions(r),
                2 * self._head.positions(r),
                2 * now.values["direction"][:, None] - 1,
                2 * now.progress[:, None] - 1,
            ],
            dim=-1,
        )

    def judge(
        self, before: Instant, now: Instant, action: Float[Tensor, "world action"]
    ) -> Outcome:
        """Reward the one try by place, moment and strength, and to be at the place."""
        tried, _ = self._tried(before, action)
        moment, wrong = script.judged(before.values, self._time(before), _force(action))
        off = self._off_place(before)
        worth = closeness(off, 0.15) * closeness(moment, 0.3) * closeness(wrong, 0.7)
        waiting = (self.mood(now) == 0) & (
            self.hand.positions(now.readings)[:, 0] < SEEN
        )
        done = self.mood(now) > 0
        return Outcome(
            terms={
                "near": closeness(self._off_place(now), 0.15) * waiting,
                # wide feet: a try that fails says in which direction the right one is
                "tried": tried * (worth + worth**3) / 2,
                "stopped": self.safe(before, action).stopped.float(),
            },
            success=done,
            terminated=torch.zeros_like(done),
        )

    def _time(self, now: Instant) -> Float[Tensor, "world"]:
        """Return the time since the episode began [s]."""
        return now.progress * (self.horizon * self._period)

    def mood(self, now: Instant) -> Float[Tensor, "world"]:
        """Return 1 where the person is content, -1 where not, and 0 before."""
        nod = self._head.positions(now.readings)[:, 0]
        return nod.sign() * (nod.abs() > script.DECIDED)

    def _off_place(self, now: Instant) -> Float[Tensor, "world"]:
        """Return how far the tool is from where it can hand over [m]."""
        hand, tool = self.hand.positions(now.readings), now.readings.sensors["tool_pos"]
        return (hand - self._offset - tool).norm(dim=-1)

    def _tried(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> tuple[Bool[Tensor, "world"], Bool[Tensor, "world"]]:
        """Tell where the robot tries to hand over, and where the person agrees.

        Fingers that close on air can open again, and a rod that is let go cannot be
        held again.
        """
        off = self._off_place(now)
        acts = (action[:, 3] > CLOSE) & (self.mood(now) == 0)
        tried = acts & ((off < TOUCH) | (now.values["direction"] > 0))
        asked = script.judged(now.values, self._time(now), _force(action))
        return tried, tried & (off < NEAR) & script.content(asked)

    def _reach(self, now: Instant) -> Float[Tensor, "world 3"]:
        """Return the targets of the hand's servos [m], ahead by as much as they lag."""
        r = now.readings
        ahead = person.LAG + self._period / 2
        gone = self._head.positions(r)[:, 0].abs()
        gone = (gone + script.NOD_RATE * ahead * (gone > script.DECIDED)) / script.NOD
        share = script.reached(now.values, self._time(now) + ahead)
        share = share * (1 - script.minimum_jerk(gone))
        goal = script.place(now.values, self._stand.positions(r)[:, 0], share)
        # nobody reaches into a gripper that is in the way
        x, y, z = (goal - r.sensors["tool_pos"]).unbind(-1)
        in_way = (y.abs() < 0.1) & (z > -0.1) & (z < 0.3)
        short = (KEEP - x).clamp(min=0) * in_way
        return goal + short[:, None] * self._offset / APART


def _force(action: Float[Tensor, "world action"]) -> Float[Tensor, "world"]:
    """Return the force of a pull or push [N]; equal steps are equal ratios."""
    least, greatest = FORCES
    return least * (greatest / least) ** ((action[:, 4] + 1) / 2)
