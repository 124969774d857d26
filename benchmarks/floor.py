"""Kernels, bytes and flops of one step on a GPU, counted without one.

    python -m benchmarks.floor [FAMILY ...]

The worlds run on Warp's CPU device under random actions; for a few of the kernels that
it launches MuJoCo Warp has others on CUDA. Every kernel is taken to read or write each
of its arrays once; of the room for contacts and constraints, the part that is in use.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import warp as wp
from rich.console import Console
from rich.table import Table
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from meta.recipes.registry import make_config
from meta.training.build import make_trainer
from robots.sim.gpu import WarpSimulator
from tasks.env import Env
from tasks.registry import FAMILIES, make_family
from tasks.simulators import probe_pools

WORLDS = 64


class Launched(TorchDispatchMode):
    """Counts torch's calls that launch a kernel, and not those that only relabel."""

    count = 0

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call, and count."""
        result = func(*args, **(kwargs or {}))
        given = {_storage(a) for a in tree_leaves(args) if isinstance(a, torch.Tensor)}
        found = [r for r in tree_leaves(result) if isinstance(r, torch.Tensor)]
        same = found and all(_storage(r) in given for r in found)
        self.count += func._schema.is_mutable or not same
        return result


@dataclass
class Periods:
    """Launches in the control periods of a simulator, added up."""

    sim: WarpSimulator
    count: int = 0
    kernels: int = 0
    size: float = 0.0
    """Bytes."""

    def __call__(self) -> None:
        """One control period, not from its graph."""
        launch, tiled = wp.launch, wp.launch_tiled
        wp.launch, wp.launch_tiled = self._counted(launch), self._counted(tiled)
        try:
            self.sim._period()
        finally:
            wp.launch, wp.launch_tiled = launch, tiled
        self.count += 1

    def _counted(self, launch: Callable[..., None]) -> Callable[..., None]:
        def counted(*args: object, **kwargs: object) -> None:
            launch(*args, **kwargs)
            dim = kwargs["dim"] if "dim" in kwargs else args[1]
            if not np.prod(dim):
                return  # kernels for parts that the model lacks are not launched
            arrays = [a for a in tree_leaves((args, kwargs)) if isinstance(a, wp.array)]
            self.kernels += 1
            self.size += sum(self._bytes(a) for a in arrays if a.ptr)

        return counted

    def _bytes(self, array: wp.array) -> float:
        data = self.sim._d
        size = float(array.size * wp.types.type_size_in_bytes(array.dtype))
        if array.shape[0] == data.naconmax:
            return size * float(data.nacon.numpy()[0]) / data.naconmax
        if array.ndim > 1 and array.shape[0] == WORLDS and array.shape[1] >= data.njmax:
            return size * float(data.nefc.numpy().mean()) / array.shape[1]
        return size


def count(name: str) -> tuple[str, ...]:
    """One family's row."""
    family = make_family(name)
    sim = WarpSimulator(
        family.model,
        worlds=WORLDS,
        substeps=family.substeps,
        pools=probe_pools(family),
        fields=family.fields,
        device="cpu",
    )
    env = Env(family, worlds=WORLDS, simulator=sim)
    env.assign(family.sample("train", 0, WORLDS))
    rng = torch.Generator().manual_seed(0)
    obs = env.reset(rng)
    cfg = make_config(name)
    every_epoch = replace(cfg.learner, max_kl=float("inf"))
    trainer = make_trainer(replace(cfg, tasks=2, learner=every_epoch))
    theta, periods = trainer.theta, Periods(sim)
    act = trainer.learner.act(theta, trainer.learner.begin(theta, WORLDS))
    sim._advance = periods
    with torch.no_grad(), Launched() as policy:
        act(obs).sample(rng)
    actions = 2 * torch.rand(env.horizon, WORLDS, env.action_dim, generator=rng) - 1
    with torch.no_grad(), Launched() as steps:
        for action in actions:
            env.step(action)
    with FlopCounterMode(display=False) as flops:
        trainer.step()
    per_step = flops.get_total_flops() / trainer.env_steps
    return (
        name,
        f"{periods.kernels / periods.count:,.0f}",
        f"{periods.size / periods.count / WORLDS / 1e3:,.0f}",
        f"{steps.count / env.horizon:.0f}",
        f"{policy.count}",
        f"{per_step / 1e6:.2f}",
    )


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def main() -> None:
    """Print the table."""
    table = Table(
        "family",
        "physics kernels",
        "kB a world",
        "env kernels",
        "policy kernels",
        "learner Mflop",
        title="one step on a GPU",
    )
    for name in sys.argv[1:] or sorted(FAMILIES):
        table.add_row(*count(name))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
