"""The command `pliant reproduce`: a published experiment, beside its figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro import conf

from pliant.cli.options import Device
from pliant.cli.parsing import Folder

if TYPE_CHECKING:
    from meta.training.config import TrainCfg

_OVER = 10
"""Iterations that a return is averaged over."""
_AT = (50, 100, 150, 200, 250)
"""Iterations that are shown, and the last."""
PUBLISHED = """\
Published for the same protocol: RLlib's MAML, which has ProMP's objective (plots in
ray-project/rl-experiments), about 230 after 45 million env steps, 254 to 268 after 211
million; about -14 before adapting."""


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Train by a published protocol, and show the returns beside the published ones.

    cheetah-direction: ProMP with the settings of its paper and code: 40 tasks of 20
    episodes of 100 steps in each phase, one inner step of 0.1, five steps of Adam,
    clipped at 0.3. 45 million env steps: three minutes on an H200, about 20 on two idle
    cores. Ctrl-C stops it; the same command goes on.

    Example: pliant reproduce cheetah-direction --seed 1
    """

    what: Annotated[
        Literal["cheetah-direction"], conf.Positional, conf.arg(metavar="WHAT")
    ]
    """The experiment: cheetah-direction."""
    seed: int = 0
    """Decides every random number."""
    iterations: int = 282
    """Meta-iterations of 160,000 env steps; 282 are 45 million."""
    device: Device = "auto"
    """Device that simulates and learns; auto is cuda where there is a GPU."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU."""
    out: Folder = None
    """Run folder; runs/promp-seedSEED by default."""

    def run(self) -> int:
        """Train, or go on, and show the table."""
        from meta.machine.devices import pick_device
        from meta.machine.files import read_bytes
        from meta.recipes.promp import promp_config
        from meta.training.folder import METRICS, begun
        from meta.training.run import train
        from tasks.strict_json import parse_json

        cfg = promp_config(self.seed, pick_device(self.device), self.threads)
        cfg = replace(cfg, iterations=self.iterations)
        folder = self.out or Path("runs") / f"promp-seed{self.seed}"
        done = train(cfg, folder, resume=begun(folder))
        lines = read_bytes(folder / METRICS).decode().splitlines()
        print(table([parse_json(line) for line in lines], cfg))
        print(PUBLISHED)
        whole = done.signal is None or done.iteration >= cfg.iterations
        return 0 if whole else 128 + (done.signal or 0)


def table(rows: Sequence[Any], cfg: "TrainCfg") -> str:
    """Return the returns at some iterations, means of the last ten until then.

    Args:
        rows: of metrics.jsonl, one an iteration.
        cfg: what was trained.
    """
    lines = [f"{cfg.family}, seed {cfg.seed}: return of sampled actions"]
    lines += [f"{'env steps':>12} {'before':>8} {'after':>8}"]
    for at in (*(n for n in _AT if n < len(rows)), *([len(rows)] if rows else [])):
        last = rows[max(0, at - _OVER) : at]
        before, after = (
            sum(row[name] for row in last) / len(last)
            for name in ("return_pre", "return_post")
        )
        steps = rows[at - 1]["env_steps"]
        lines.append(f"{steps / 1e6:>10.1f} M {before:>8.1f} {after:>8.1f}")
    return "\n".join(lines)
