"""Measure people's safety and comfort: no limit broken, whatever the policy does.

    python -m benchmarks.people limits --policies shipped:handover shipped:handover-dr
    python -m benchmarks.people fluency --policies shipped:handover-explore

`limits` looks at every physics step of many episodes: at the speed at which the tool
approaches the person against what the separation allows, and at the force of contact on
the hand. It acts at random, in extremes, straight at the hand, and by the policies;
`--off` switches the layer off, and then limits must break. `fluency` measures what
a person has of a policy after so many episodes with them, by the idle times of Hoffman
2019 ("Evaluating fluency in human-robot collaboration", section IV).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from benchmarks.teams import text_of
from meta.evaluation.measure import ADAPT, MEASURE
from meta.evaluation.statistics import estimate, mean
from meta.experience.batch import limit_episodes
from meta.experience.rollout import by_task, collect
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained, load_trained
from policies.acting import RecurrentPolicy, Transition
from policies.distribution import Distribution, distribution
from robots.humans.person import HAND
from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Readings
from tasks.contract import Step
from tasks.env import Env
from tasks.family import Instant
from tasks.people import safety
from tasks.people.handover import APART, Handover

EPISODES = (0, 1, 3, 5)
STILL = {"person": 0.05, "robot": 0.03}
"""Speeds below which the hand and the tool are idle [m/s]."""
Act = Callable[[Tensor, Tensor], Tensor]
"""Turns observations and random numbers into actions."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    what: Positional[Literal["limits", "fluency"]]
    """What to measure."""
    policies: tuple[str, ...] = ()
    """Policies, beside those that know nothing."""
    episodes: int = 10_000
    """Episodes of `limits` in all."""
    people: int = 100
    """People of `fluency`, of which each is measured five times."""
    split: str = "held-out"
    """Split that `fluency` draws people from; `limits` takes all in turn."""
    off: bool = False
    """Switch the layer off."""
    seed: int = 51
    """Decides the people."""
    out: Path | None = None
    """Write the raw numbers here."""


class Unsafe(Handover):
    """The family with its layer switched off."""

    def safe(self, now: Instant, action: Tensor) -> safety.Checked:
        """Return the velocity as the policy wants it."""
        wanted = self.wanted(now, action)
        return safety.Checked(wanted, torch.zeros(len(wanted), dtype=torch.bool))


class Watched(CpuSimulator):
    """Worlds of which every physics step is looked at."""

    def __init__(self, family: Handover, worlds: int) -> None:
        super().__init__(family.model, worlds=worlds, substeps=1, threads=1)
        self._held = family.substeps
        dofs = [int(family.model.joint(name).dofadr[0]) for name in HAND]
        self._dofs, self._forces = dofs, self._batch.bind("qfrc_constraint")
        self._joints = family.hand
        self.clear()

    def clear(self) -> None:
        """Begin to watch anew."""
        self.nearest = torch.full((self.worlds,), torch.inf)
        self.excess = torch.full((self.worlds,), -torch.inf)
        self.force = torch.zeros(self.worlds)

    def step(self, ctrl: Tensor) -> Readings:
        """Advance by one control period, and keep the worst of its steps."""
        readings = super().step(ctrl)
        self._watch(readings)
        for _ in range(self._held - 1):
            readings = super().step(ctrl)
            self._watch(readings)
        return readings

    def _watch(self, readings: Readings) -> None:
        sensors = readings.sensors
        apart, towards = safety.separation(
            sensors["tool_pos"], self._joints.positions(readings)
        )
        speed = (sensors["tool_vel"] * towards).sum(-1)
        force = torch.from_numpy(np.linalg.norm(self._forces[:, self._dofs], axis=1))
        self.nearest = torch.minimum(self.nearest, apart)
        self.excess = torch.maximum(self.excess, speed - safety.allowed(apart))
        self.force = torch.maximum(self.force, force.float())


class Counted(Env):
    """Worlds that count their protective stops."""

    stops: Tensor

    def reset(self, rng: torch.Generator, worlds: Tensor | None = None) -> Tensor:
        """Start new episodes, of which nothing is counted yet."""
        self.stops = torch.zeros(self.worlds)
        return super().reset(rng, worlds)

    def step(self, action: Tensor) -> Step:
        """Advance, and count."""
        step = super().step(action)
        self.stops = self.stops + step.terms["stopped"]
        return step


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    with simulator_threads():
        found = limits(o) if o.what == "limits" else fluency(o)
    if o.out:
        o.out.write_text(json.dumps(found))


def limits(o: Options) -> list[dict[str, Any]]:
    """Return and print the worst that every policy does."""
    family = (Unsafe if o.off else Handover)()
    unknowing: dict[str, Act] = {
        "random": lambda obs, u: 2 * u - 1,
        "extreme": lambda obs, u: (2 * u - 1).sign(),
        "at the hand": _chase,
    }
    trained = {name: load_trained(name) for name in o.policies}
    each = -(-o.episodes // (len(unknowing) + len(trained)))
    print("| policy | episodes | nearest [m] | most over the limit of speed [m/s] | "
          "greatest force [N] | stops an episode | limits broken |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    rows: list[dict[str, Any]] = []
    for name in (*unknowing, *trained):
        rows.append(_worst(o, family, name, each, unknowing.get(name), trained.get(name)))
        r = rows[-1]
        print(
            f"| {name} | {each:,} | {r['nearest']:.3f} | {r['excess']:.3f} | "
            f"{r['force']:.0f} | {r['stops']:.2f} | {r['broken']} |"
        )
    return rows


def _worst(
    o: Options,
    family: Handover,
    name: str,
    each: int,
    act: Act | None,
    policy: Trained | None,
) -> dict[str, Any]:
    """Return the worst of many episodes, with people of all splits."""
    splits = len(family.splits)
    tasks = [
        task
        for split in family.splits
        for task in family.sample(split, o.seed, -(-each // splits))
    ][:each]
    told = policy is not None and policy.cfg.told
    sim = Watched(family, len(tasks))
    env = Counted(family, worlds=len(tasks), oracle=told, simulator=sim)
    env.assign(tasks)
    rng = derived_generator(o.seed, MEASURE, 0)
    acting = _unknowing(act) if act else policy and policy.begin(len(tasks)).act
    assert acting is not None
    rollout = collect(env, acting, rng)
    broken = (sim.excess > 0) | (sim.force > safety.FORCE)
    return {
        "policy": name,
        "episodes": len(tasks),
        "nearest": float(sim.nearest.min()),
        "excess": float(sim.excess.max()),
        "force": float(sim.force.max()),
        "stops": float(env.stops.mean()),
        "broken": int(broken.sum()),
        "faults": int(rollout.fault.sum()),
    }


def _unknowing(act: Act) -> RecurrentPolicy:
    """Return a policy that reads no task."""

    def decide(obs: Tensor, memory: Tensor) -> Distribution:
        rng = derived_generator(0, MEASURE, int(memory[0]))
        action = act(obs, torch.rand(len(obs), Handover.action_dim, generator=rng))
        return distribution(action, torch.full_like(action, -12.0))

    def watch(memory: Tensor, step: Transition) -> Tensor:
        return memory + 1

    return RecurrentPolicy(torch.zeros(1, 1), decide, watch)


def _chase(obs: Tensor, u: Tensor) -> Tensor:
    """Drive at the hand as fast as can be, where it is seen; else forwards."""
    seen = obs[:, 10:11] > 0.5
    way = obs[:, 6:9] / 5 + torch.tensor([APART, 0.0, 0.0])
    ahead = torch.tensor([1.0, 0.0, 0.0]).expand_as(way)
    way = torch.where(seen, way / way.norm(dim=-1, keepdim=True).clamp(min=1e-6), ahead)
    way = way / way.abs().amax(-1, keepdim=True)
    return torch.cat([way, torch.full_like(way[:, :2], -1.0)], dim=-1)


if __name__ == "__main__":
    main()
