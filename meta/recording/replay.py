"""Recordings simulated again."""

import numpy as np
import torch

from meta.recording.trajectory import Recording, world_hash
from robots.sim.cpu import CpuSimulator
from robots.sim.tape import cpu_simulator
from tasks.env import Env
from tasks.family import Family
from tasks.named import check_named
from tasks.registry import FAMILIES, make_family


def world_of(recording: Recording) -> tuple[Family, CpuSimulator]:
    """Build the world that a recording was made in.

    Raises:
        ValueError: if it is another one than was recorded, or that of a user's family,
            which has not been named.
    """
    name = recording.task.family
    if name not in FAMILIES:
        check_named("family", name, (), FAMILIES)
    family = make_family(name, objects=recording.objects)
    longest = max(len(e.rewards) for e in recording.episodes)
    if longest > family.horizon:
        raise ValueError(
            f"an episode of {family.name} has at most {family.horizon} steps, the "
            f"recorded one {longest}"
        )
    env = Env(family, worlds=family.team, threads=1)
    env.assign(family.of_team(recording.task))
    sim = cpu_simulator(env.sim)
    if world_hash(sim) != recording.model_hash:
        raise ValueError(
            f"the world of this {family.name} task is not the one that was recorded: "
            "the recording was made with another version of Pliant or MuJoCo, or its "
            "task was changed"
        )
    sizes = (sim.state().shape[1], sim.model.nu)
    for e in recording.episodes:
        if (e.states.shape[1], e.controls.shape[1]) != sizes:
            raise ValueError(
                f"a state and a control of {family.name} have {sizes} numbers, the "
                f"recorded ones {(e.states.shape[1], e.controls.shape[1])}"
            )
    return family, sim


def verify(recording: Recording) -> float:
    """Simulate both episodes again, from their first states and under their controls.

    Returns:
        The largest difference to a recorded state: 0 if all are equal bit for bit, as
        they are on the machine that recorded them.

    Raises:
        ValueError: if the world is another one than was recorded.
    """
    family, sim = world_of(recording)
    env = Env(family, worlds=family.team, simulator=sim)
    worst = 0.0
    for episode in recording.episodes:
        env.assign(family.of_team(recording.task))
        sim.set_state(episode.states[:1])
        states = [sim.state()]
        for step, control in enumerate(episode.controls):
            if step in recording.changes:
                env.assign(family.of_team(recording.changes[step]))
            sim.step(torch.from_numpy(control[None]))
            states.append(sim.state())
        difference = np.abs(np.concatenate(states) - episode.states).max()
        worst = max(worst, float(difference))
    return worst
