"""The simulators that families' worlds run on."""

import torch

from robots.sim.cpu import CpuSimulator
from robots.sim.simulator import Pools, Simulator
from tasks.family import Family, Instant


def make_simulator(family: Family, worlds: int, threads: int = 0) -> Simulator:
    """Make the simulator of a family's worlds: MuJoCo on the CPU, MuJoCo Warp on CUDA.

    Raises:
        ValueError: as the simulators do, or on CUDA without MuJoCo Warp.
    """
    if family.device.type == "cpu":
        return CpuSimulator(
            family.model,
            worlds=worlds,
            substeps=family.substeps,
            fields=family.fields,
            threads=threads,
        )
    try:
        from robots.sim.gpu import WarpSimulator
    except ImportError as error:
        raise ValueError(
            f"device {family.device} needs MuJoCo Warp: pip install 'pliant[gpu]'"
        ) from error
    return WarpSimulator(
        family.model,
        worlds=worlds,
        substeps=family.substeps,
        pools=probe_pools(family),
        fields=family.fields,
        device=family.device,
    )


def probe_pools(family: Family, *, worlds_per_split: int = 32) -> Pools:
    """Size the GPU's room for contacts and constraints: twice what random actions need.

    Measured on the CPU, over one episode of tasks of every split.
    """
    twin = family.on("cpu")
    tasks = [t for s in twin.splits for t in twin.sample(s, 0, worlds_per_split)]
    # one task a world, of which a team's agents have one each
    tasks = tasks[:: twin.team]
    values = twin.values(tasks)
    shape = (len(tasks), *[twin.team] * bool(twin.agents), twin.action_dim)
    sim = CpuSimulator(
        twin.model, worlds=len(tasks), substeps=twin.substeps, fields=twin.fields
    )
    if twin.fields:
        sim.assign(twin.model_fields(values))
    rng = torch.Generator().manual_seed(0)
    readings = sim.reset(*twin.start(values, rng))
    met = [sim.peak_contacts()]
    for step in range(twin.horizon):
        progress = torch.full((len(tasks),), step / twin.horizon)
        now = Instant(readings=readings, progress=progress, values=values)
        action = 2 * torch.rand(shape, generator=rng) - 1
        readings = sim.step(twin.control(now, action))
        met.append(sim.peak_contacts())
    return Pools(
        contacts=2 * max(p.contacts for p in met) + 8,
        constraints=2 * max(p.constraints for p in met) + 8,
    )
