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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from benchmarks.people_worlds import Counted, Unsafe, Watched
from benchmarks.study import text_of
from meta.evaluation.measure import ADAPT, MEASURE
from meta.evaluation.statistics import estimate, mean
from meta.experience.batch import limit_episodes
from meta.experience.rollout import by_task, collect
from meta.learner import sequential
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained, load_trained
from policies.acting import Act, RecurrentPolicy, Transition
from policies.distribution import Distribution, distribution
from tasks.env import Env
from tasks.people import safety
from tasks.people.handover import APART, Handover
from tasks.task import Task

EPISODES = (0, 1, 3, 5)
MEASURED = 5
"""Measured episodes with each person."""
FORCE = "greatest force [N]"
MEASURES = (
    "success",
    "return",
    "time to the end [s]",
    "person idle",
    "robot idle",
    "nearest [m]",
    "stops",
    FORCE,
)
Unknowing = Callable[[Tensor, Tensor], Tensor]
"""Turns observations and random numbers into actions."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    what: Positional[Literal["limits", "fluency"]]
    """The study: of limits, or of fluency."""
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
    unknowing: dict[str, Unknowing] = {
        "random": lambda obs, u: 2 * u - 1,
        "extreme": lambda obs, u: (2 * u - 1).sign(),
        "at the hand": _chase,
    }
    trained = {name: load_trained(name) for name in o.policies}
    each = -(-o.episodes // (len(unknowing) + len(trained)))
    print(
        "| policy | episodes | nearest [m] | most over the limit of speed [m/s] | "
        "greatest force [N] | stops an episode | limits broken |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    rows: list[dict[str, Any]] = []
    for name in (*unknowing, *trained):
        rows.append(
            _worst(o, family, name, each, unknowing.get(name), trained.get(name))
        )
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
    act: Unknowing | None,
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


def fluency(o: Options) -> list[dict[str, Any]]:
    """Return and print what people have of each policy, by episodes lived with it."""
    family, rng = Handover(), np.random.default_rng(o.seed)
    tasks = family.sample(o.split, o.seed, o.people)
    print(f"| policy | episodes | {' | '.join(MEASURES)} |")
    print(f"|---|---:|{'---:|' * len(MEASURES)}")
    rows: list[dict[str, Any]] = []
    for name in o.policies:
        policy = load_trained(name)
        for k, act in _adapted(o, family, tasks, policy):
            found = _comfort(o, family, tasks, act, told=policy.cfg.told)
            rows.append({"policy": name, "episodes": k, **found})
            cells = [
                f"{max(found[m]):.0f}"
                if m == FORCE
                else text_of(estimate([np.array([found[m]])], mean, rng))
                for m in MEASURES
            ]
            print(f"| {name.removeprefix('shipped:')} | {k} | {' | '.join(cells)} |")
    return rows


def _adapted(
    o: Options, family: Handover, tasks: Sequence[Task], policy: Trained
) -> Iterator[tuple[int, Act]]:
    """Yield the policy after so many episodes with each person; once if it is told."""
    if sequential(policy.learner):
        raise SystemExit(f"{policy.source} plays its episodes one after another")
    start, most = policy.begin(len(tasks)), max(EPISODES)
    yield 0, start.act
    if not policy.learner.inner_steps:
        return
    env = Env(family, worlds=len(tasks) * most, threads=1)
    env.assign([task for task in tasks for _ in range(most)])
    rng = derived_generator(o.seed, ADAPT, 0)
    lived = by_task(collect(env, start.explore, rng), len(tasks))
    for k in EPISODES[1:]:
        part = limit_episodes(lived, torch.full((len(tasks),), k))
        yield k, start.after(part).act


def _comfort(
    o: Options, family: Handover, tasks: Sequence[Task], act: Act, *, told: bool
) -> dict[str, list[float]]:
    """Return the mean of each measure for every person."""
    worlds = len(tasks) * MEASURED
    sim = Watched(family, worlds)
    env = Counted(family, worlds=worlds, oracle=told, simulator=sim)
    env.assign([task for task in tasks for _ in range(MEASURED)])
    rollout = collect(env, act, derived_generator(o.seed, MEASURE, 0), explore=False)
    idle = env.idle()
    each = {
        "success": rollout.success.float(),
        "return": rollout.returns,
        "time to the end [s]": idle["time"],
        "person idle": idle["person"],
        "robot idle": idle["robot"],
        "nearest [m]": sim.nearest,
        "stops": env.stops,
        FORCE: sim.force,
    }
    return {k: v.reshape(-1, MEASURED).mean(1).tolist() for k, v in each.items()}


def _unknowing(act: Unknowing) -> RecurrentPolicy:
    """Return a policy that reads no task; its random numbers last for four steps."""

    def decide(obs: Tensor, memory: Tensor) -> Distribution:
        rng = derived_generator(0, MEASURE, int(memory[0]) // 4)
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
