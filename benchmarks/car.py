"""Measure the car against closed forms of vehicle dynamics.

    python -m benchmarks.car

Every manoeuvre is driven by `mj_step` on the car's own scene. Grip is Coulomb's, so
that a car on four locked wheels needs v^2 / (2 mu g) to stop, and one that goes round
in circles reaches mu g; an axle with less grip is the first to let go.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from robots.sim.simulator import Readings
from robots.wheeled.car import Car
from robots.wheeled.driver import Driver
from robots.wheeled.figures import (
    FRONT,
    GRAVITY,
    HEIGHT,
    MASS,
    REAR,
    SINK,
    TRACK,
    WHEEL_INERTIA,
    WHEEL_RADIUS,
    WHEELBASE,
    WHEELS,
    YAW_INERTIA,
    turning_radius,
)
from robots.wheeled.road import make_scene

TOLERANCE = 0.03
"""Greatest relative error."""
PERIOD = 5
"""Physics steps between two commands."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the card."""

    what: str
    unit: str
    expected: float
    found: float

    @property
    def error(self) -> float:
        """Relative error."""
        return self.found / self.expected - 1


class Track:
    """One car on the plane, with a driver, stepped by `mj_step`.

    Args:
        grip: friction coefficients of the tyres, wheels as in `WHEELS`.
        speed: at which it rolls straight ahead at first [m/s].
        driven: wheels that it drives.
    """

    def __init__(
        self, grip: tuple[float, ...], speed: float, driven: str = "all"
    ) -> None:
        scene, car = make_scene(), Car("car/")
        car.attach(scene)
        self.model = scene.compile()
        for wheel, friction in zip(WHEELS, grip, strict=True):
            self.model.geom(f"car/{wheel}").friction[0] = friction
        self.driver = Driver(car, self.model, driven=driven)
        self.data = mujoco.MjData(self.model)
        self.data.qpos[2] -= SINK
        self.data.qvel[0] = speed
        for wheel in WHEELS:
            self.data.joint(f"car/{wheel}_spin").qvel[0] = speed / WHEEL_RADIUS
        mujoco.mj_forward(self.model, self.data)

    @property
    def velocity(self) -> Float[np.ndarray, "3"]:
        """Velocity ahead and to the left [m/s], and yaw rate [rad/s]."""
        turned = self.data.body("car/chassis").xmat.reshape(3, 3)
        ahead, left, _ = turned.T @ self.data.qvel[:3]
        return np.array([ahead, left, self.data.qvel[5]])

    @property
    def loads(self) -> dict[str, float]:
        """Load of each wheel at this moment [N]."""
        found = dict.fromkeys(WHEELS, 0.0)
        force = np.empty(6)
        for index, contact in enumerate(self.data.contact):
            mujoco.mj_contactForce(self.model, self.data, index, force)
            name = self.model.geom(int(contact.geom.max())).name
            found[name.removeprefix("car/")] += force[0]
        return found

    def drive(
        self, seconds: float, command: Callable[[float], tuple[float, ...]]
    ) -> Iterator[float]:
        """Drive on, and yield the time since the beginning after every physics step."""
        start = self.data.time
        for step in range(round(seconds / self.model.opt.timestep)):
            if step % PERIOD == 0:
                wanted = torch.tensor([command(self.data.time - start)])
                self.data.ctrl = self.driver(self._readings(), wanted)[0].numpy()
            mujoco.mj_step(self.model, self.data)
            yield self.data.time - start

    def cruise(self, speed: float) -> float:
        """Return the pedal that holds a speed [m/s]."""
        return float(np.clip(2 * (speed - self.velocity[0]), -0.5, 0.5))

    def _readings(self) -> Readings:
        qpos, qvel = (
            torch.from_numpy(x.copy()).float()[None]
            for x in (self.data.qpos, self.data.qvel)
        )
        none = torch.zeros(1)
        return Readings(time=none, qpos=qpos, qvel=qvel, sensors={}, fault=none > 0)


def stop(grip: float, speed: float = 3.0) -> Figure:
    """Stop with locked wheels."""
    track = Track((grip,) * 4, speed)
    for _ in track.drive(2 * speed / (grip * GRAVITY), lambda _: (0.0, 0.0, 1.0)):
        pass
    expected = speed**2 / (2 * grip * GRAVITY)
    what = f"stop from {speed:g} m/s at a grip of {grip:g}"
    return Figure(what, "m", expected, float(track.data.qpos[0]))


def circle(steer: float = 0.25) -> Figure:
    """Go round slowly."""
    radius = turning_radius(steer)
    speed = (0.05 * GRAVITY * radius) ** 0.5
    track = Track((1.0,) * 4, speed)
    turn = 2 * np.pi * radius / speed
    found = [
        np.hypot(*track.velocity[:2]) / track.velocity[2]
        for time in track.drive(turn, lambda _: (steer, track.cruise(speed)))
        if time > turn / 2
    ]
    return Figure(f"radius of a circle at {steer:g} rad", "m", radius, np.mean(found))


def limit(front: float, rear: float, steer: float = 0.12) -> Figure:
    """Go round ever faster, until the axle with less grip lets go."""
    lowest = min(front, rear)
    radius = WHEELBASE / np.tan(steer)
    slow, fast = ((share * lowest * GRAVITY * radius) ** 0.5 for share in (0.5, 1.3))
    track, seconds = Track((front, front, rear, rear), slow), 15.0

    def command(time: float) -> tuple[float, float]:
        speed = slow + (fast - slow) * max(0.0, time - 1) / (seconds - 1)
        return steer * min(1.0, time), track.cruise(speed)

    sideways: list[float] = []
    for _ in track.drive(seconds, command):
        ahead, _, turn = track.velocity
        sideways.append(ahead * turn)
    # of a second: a wheel that slips hops
    second = round(1 / track.model.opt.timestep)
    greatest = np.convolve(sideways, np.ones(second) / second, "valid").max()
    what = f"greatest lateral acceleration, grip {front:g} in front and {rear:g} behind"
    return Figure(what, "m/s2", lowest * GRAVITY, float(greatest))


def transfer(grip: float = 0.5, speed: float = 3.0) -> Figure:
    """Stop with locked wheels, and weigh what the rear axle loses."""
    track = Track((grip,) * 4, speed)
    seconds = speed / (grip * GRAVITY)
    front = [
        track.loads["front_left"] + track.loads["front_right"]
        for time in track.drive(0.8 * seconds, lambda _: (0.0, 0.0, 1.0))
        if time > 0.4 * seconds
    ]
    gained = float(np.mean(front)) - MASS * GRAVITY * REAR / WHEELBASE
    expected = MASS * grip * GRAVITY * HEIGHT / WHEELBASE
    return Figure(f"load moved forwards by a stop at {grip:g} g", "N", expected, gained)


def split(left: float = 0.1, right: float = 0.3) -> Figure:
    """Lock the wheels with more grip on one side: the car turns to that side.

    The mean of many stops, because wheels that slip hop, each at its own times; and
    with little grip, because the closed form knows no load that moves.
    """
    seconds, speeds = 0.15, np.linspace(2.8, 3.2, 40)
    turns: list[float] = []
    for speed in speeds:
        track = Track((left, right, left, right), float(speed))
        for _ in track.drive(seconds, lambda _: (0.0, 0.0, 1.0)):
            pass
        turns.append(float(track.velocity[2]))
    moment = (left - right) * MASS * GRAVITY / 2 * TRACK / 2
    grip = (left + right) / 2
    # a tyre that slides also resists being moved sideways by the turning itself
    mean = speeds.mean() - grip * GRAVITY * seconds / 2
    damping = grip * MASS * GRAVITY * FRONT * REAR / mean
    expected = moment / damping * -np.expm1(-damping / YAW_INERTIA * seconds)
    what = f"yaw rate {seconds:g} s into a stop, grip {left:g} left and {right:g} right"
    return Figure(what, "rad/s", expected, float(np.mean(turns)))


def launch(driven: str, grip: float = 0.4) -> Figure:
    """Accelerate with a little more throttle than the wheels can use.

    The load that moves backwards is lost to driven front wheels and won by rear ones.
    """
    track = Track((grip,) * 4, 0.3, driven)
    before, after = 0.4, 1.4
    speeds = [
        track.velocity[0]
        for time in track.drive(after, lambda _: (0.0, 0.35))
        if time > before
    ]
    found = (speeds[-1] - speeds[0]) / (after - before)
    share = {"front": REAR, "rear": FRONT}[driven] / WHEELBASE
    moved = grip * HEIGHT / WHEELBASE * (1 if driven == "front" else -1)
    rolling = 2 * WHEEL_INERTIA / WHEEL_RADIUS**2 / MASS  # the wheels that are not
    expected = grip * share / (1 + rolling + moved) * GRAVITY
    what = f"greatest acceleration, {driven} wheels driven at a grip of {grip:g}"
    return Figure(what, "m/s2", expected, float(found))


CARD: Mapping[str, Callable[[], Figure]] = {
    "stop on ice": lambda: stop(0.2),
    "stop": lambda: stop(0.6),
    "stop on tarmac": lambda: stop(1.0),
    "circle": circle,
    "limit on ice": lambda: limit(0.3, 0.3),
    "limit": lambda: limit(0.9, 0.9),
    "understeer": lambda: limit(0.5, 0.9),
    "load transfer": transfer,
    "split grip": split,
    "front drive": lambda: launch("front"),
    "rear drive": lambda: launch("rear"),
}
"""Manoeuvres by name."""


def main() -> None:
    """Print the card, and fail if a figure is off."""
    table = Table("manoeuvre", "closed form", "the car", "error", title="Tyre card")
    figures = [manoeuvre() for manoeuvre in CARD.values()]
    for x in figures:
        table.add_row(
            x.what,
            f"{x.expected:.3f} {x.unit}",
            f"{x.found:.3f} {x.unit}",
            f"{100 * x.error:+.1f} %",
        )
    Console(width=120).print(table)
    if any(abs(x.error) > TOLERANCE for x in figures):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
