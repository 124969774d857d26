"""crossing: two cars come to a junction at speed, and one of them has to give way.

Each car is asked once, when it sees the other, at which speed it is to go on; what its
tyres make of that shows only afterwards. A car that slips cannot slow down in time, so
that the other has to, though it be due first; and how far it has to slow down depends
on its own grip. Rolling at speed neither car feels its tyres, let alone the
other's.
"""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from robots.wheeled.bodywork import LENGTH, PAINT, WIDTH
from robots.wheeled.car import Car
from robots.wheeled.fields import CarFields
from robots.wheeled.figures import FRONT, REAR, SINK, WHEEL_RADIUS, WHEELS
from robots.wheeled.road import TARMAC, add_camera, make_scene
from tasks.contract import Values
from tasks.driving.drive_family import between
from tasks.driving.scenery import add_line
from tasks.family import Family, Instant, Outcome, per_world
from tasks.parameters import Scalar
from tasks.rows import AGENT, agent_parameter
from tasks.teams.plans import add_plans

HEADINGS = ("east", "north")
SPEED = (2.3, 2.7)  # [m/s], at which the cars come along; none drives faster
AWAY = (0.7, 0.8)  # [s], until a car that goes on is in the middle of the junction
LATE = 0.04  # [s], most by which the two differ in that
PULL = 0.35  # most of the throttle that is used
GAIN = 4.0  # [s/m], of the pedal that holds a speed
MIDDLE = (FRONT - REAR) / 2  # [m], of the bodywork, ahead of a car's frame
CLOSE = (LENGTH + WIDTH) / 2  # [m], nearer to the middle, a car is in the other's way
LINE = -SPEED[0] * (AWAY[0] - LATE)  # [m], beyond which way is made good
ROAD = 0.32  # [m], half the width of a road
BLUE = (0.13, 0.33, 0.66, 1.0)
LOOKS = 4  # times a control period that the cars' places are compared


class Crossing(Family):
    """Cross a junction ahead of another car or behind it, at grips unknown."""

    name = "crossing"
    summary = "two cars on tyres unknown cross a junction at speed, one giving way"
    success = "both cars have passed the junction, and neither hit the other"
    agents = HEADINGS
    horizon = 18
    substeps = 25
    obs_dim = 7
    action_dim = 1
    parameters = (
        agent_parameter(HEADINGS),
        *(
            Scalar(
                name=f"friction_{heading}",
                unit="1",
                low=0.05,
                high=0.5,
                hole=(0.13, 0.18),
                beyond=((0.04, 0.05), (0.5, 0.7)),
                log=True,
            )
            for heading in HEADINGS
        ),
    )
    fields = ("geom_friction",)
    weights: ClassVar[Mapping[str, float]] = {"progress": 1.0, "forfeited": -1.0}

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._cars = [Car(f"{heading}/") for heading in HEADINGS]
        super().__init__(device)
        model, prefixes = self.model, [car.prefix for car in self._cars]
        self._roots = [Coordinates(model, [f"{p}root"], device) for p in prefixes]
        self._spins = [
            Coordinates(model, [f"{p}{wheel}_spin" for wheel in WHEELS], device)
            for p in prefixes
        ]
        self._own = [CarFields(model, p) for p in prefixes]
        self._drives = [car.controller("driver", model, device) for car in self._cars]
        self._asked = Coordinates(model, [f"asked_{h}" for h in HEADINGS], device)
        self._rest = torch.from_numpy(model.qpos0).float().to(device)
        self._period = self.substeps * model.opt.timestep
        self._far = SPEED[1] * (self._period * self.horizon - AWAY[0])

    def compile(self) -> mujoco.MjModel:
        """Two roads that cross, and a car on each."""
        spec = make_scene()
        add_line(spec, (0.5, 0.0), (3.3, ROAD), TARMAC)
        for side in (-1, 1):
            add_line(spec, (0.0, side * (ROAD + 1.65)), (ROAD, 1.65), TARMAC)
        add_line(spec, (-ROAD - 0.06, 0.0), (0.015, ROAD - 0.03))
        add_line(spec, (0.0, -ROAD - 0.06), (ROAD - 0.03, 0.015))
        for car in self._cars:
            car.attach(spec)
        _paint(spec.body(f"{HEADINGS[1]}/chassis"))
        # a collision is judged by distance: what follows one decides nothing
        spec.add_exclude(
            bodyname1=f"{HEADINGS[0]}/chassis", bodyname2=f"{HEADINGS[1]}/chassis"
        )
        add_plans(spec, [f"asked_{heading}" for heading in HEADINGS])
        add_camera(spec, "overview", pos=(-2.7, -2.7, 2.5), towards=(0.05, 0.05, 0.0))
        return spec.compile()

    def model_fields(self, values: Values) -> Mapping[str, Float[Tensor, "world ..."]]:
        """The grip of all tyres of either car."""
        rows: list[int] = []
        grips: list[Tensor] = []
        for heading, own in zip(HEADINGS, self._own, strict=True):
            grip = values[f"friction_{heading}"].double()[:, None].expand(-1, 4)
            tyres, entries = own.friction(grip)["geom_friction"]
            rows, grips = [*rows, *tyres], [*grips, entries]
        return per_world(self.model, geom_friction=(rows, torch.cat(grips, dim=1)))

    def reveal(self, values: Values) -> Float[Tensor, "world features"]:
        """Encode the grip of the agent's own car, and the other's."""
        east, north = super().reveal(values).unbind(-1)
        own = values[AGENT] == 0
        return torch.stack(
            [torch.where(own, east, north), torch.where(own, north, east)], dim=-1
        )

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Both cars rolling, to be in the middle at nearly the same time."""
        worlds = len(values[AGENT])
        u = torch.rand(worlds, 4, generator=rng, device=self.device)
        qpos = self._rest.repeat(worlds, 1)
        qvel = torch.zeros(worlds, self.model.nv, device=self.device)
        away, late = between(AWAY, u[:, 2]), LATE * (u[:, 3] - 0.5)
        zero = torch.zeros_like(away)
        for i, time in enumerate((away + late, away - late)):
            speed = between(SPEED, u[:, i])
            place, velocity = [-speed * time, zero], [speed, zero]
            turn = [zero + 0.5**0.5 if i else zero + 1, zero, zero, zero + i * 0.5**0.5]
            root, spins = self._roots[i], self._spins[i]
            height = qpos[:, root.qpos][:, 2] - SINK
            where = [*(place[::-1] if i else place), height, *turn]
            along = velocity[::-1] if i else velocity
            qpos[:, root.qpos] = torch.stack(where, dim=-1)
            qvel[:, root.qvel] = torch.stack([*along, *[zero] * 4], dim=-1)
            qvel[:, spins.qvel] = (speed / WHEEL_RADIUS)[:, None].expand(-1, 4)
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world agent action"]
    ) -> Float[Tensor, "world nu"]:
        """A speed that each car takes and holds, asked for in the first step only."""
        first = (now.progress == 0)[:, None]
        share = (1 + action[..., 0]) / 2
        asked = torch.where(first, share, self._asked.positions(now.readings))
        places, speeds = self._motion(now)
        # once the other is through, a car goes on
        wanted = torch.where(places.flip(-1) > CLOSE, SPEED[1], SPEED[1] * asked)
        pedal = (GAIN * (wanted - speeds)).clamp(-1, PULL)
        ctrl = [
            drive(now.readings, torch.stack([torch.zeros_like(p), p], dim=-1))
            for drive, p in zip(self._drives, pedal.unbind(-1), strict=True)
        ]
        return torch.cat([*ctrl, first * share / self._period], dim=-1)

    def observe(self, now: Instant) -> Float[Tensor, "world agent obs"]:
        """Each car's own way and speed, the other's, who is due first, and time."""
        places, speeds = self._motion(now)
        due = places / speeds.clamp(min=0.5)
        parts = [
            places,
            places.flip(-1),
            2 * (speeds - 2),
            2 * (speeds.flip(-1) - 2),
            (20 * (due - due.flip(-1))).tanh(),
            (3 * places).tanh(),
            (2 * now.progress - 1)[:, None].expand_as(places),
        ]
        return torch.stack(parts, dim=-1)

    def judge(
        self,
        before: Instant,
        now: Instant,
        action: Float[Tensor, "world agent action"],
    ) -> Outcome:
        """The way that both make good; a collision forfeits all of it."""
        (was, _), (places, _) = self._motion(before), self._motion(now)
        hit = self._hit(was, places)
        earlier, won = self._made_good(was), self._made_good(places)
        return Outcome(
            terms={
                "progress": (won - earlier).clamp(min=0),
                "forfeited": hit * won,
            },
            success=~hit & (places > CLOSE).all(-1),
            terminated=hit,
        )

    def _made_good(self, places: Float[Tensor, "world 2"]) -> Float[Tensor, "world"]:
        """Return the share of the way that both have made good, their mean."""
        return ((places - LINE) / (self._far - LINE)).clamp(0, 1).mean(-1)

    def _hit(
        self, was: Float[Tensor, "world 2"], places: Float[Tensor, "world 2"]
    ) -> Bool[Tensor, "world"]:
        """Tell whether both cars were on the junction at once, within a step."""
        shares = torch.arange(1, LOOKS + 1, device=self.device) / LOOKS
        along = was + shares[:, None, None] * (places - was)
        return (along.abs() < CLOSE).all(-1).any(0)

    def _motion(self, now: Instant) -> tuple[Tensor, Tensor]:
        """Return how far each car is beyond the middle [m], and its speed [m/s]."""
        r = now.readings
        ways = [self._roots[i].positions(r)[:, i] + MIDDLE for i in range(2)]
        speeds = [self._roots[i].velocities(r)[:, i] for i in range(2)]
        return torch.stack(ways, dim=-1), torch.stack(speeds, dim=-1)


def _paint(chassis: mujoco.MjsBody) -> None:
    """Paint a car blue."""
    for geom in chassis.geoms:
        if np.allclose(geom.rgba, PAINT):
            geom.rgba = np.array(BLUE)
