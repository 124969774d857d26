"""The command `pliant lie`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro import conf

from pliant.cli.names import check_family, check_policy, check_split
from pliant.cli.options import Device, check_can_be_written
from pliant.cli.parsing import File, Files, Policies
from pliant.cli.progress import progress_bar

if TYPE_CHECKING:
    from meta.evaluation.evaluation_cfg import EvaluationCfg
    from meta.evaluation.lie import Lies
    from meta.training.trained import Trained

LIES = "lies"
"""Name of the table's place in a document."""


@dataclass(frozen=True, kw_only=True)
class Lie:
    """Measure which hidden parameters matter, by lying to the oracle about each.

    The oracle, which observes all that is hidden, acts on 100 tasks, and is told about
    one parameter what is true of another task. What it then loses is what knowing that
    parameter is worth; a parameter of which a lie costs less than 0.03 of the range
    from random actions to the oracle is called scenery.

    Example: pliant lie strike
    """

    families: Annotated[tuple[str, ...], conf.arg(metavar="FAMILY...")]
    """Families to measure; one of your own, as module:Class, needs --oracle. Without
    any, all of Pliant's own."""
    split: str = "held-out"
    """Split that the tasks are drawn from."""
    tasks: int = 100
    """Number of tasks."""
    shuffles: int = 3
    """Times that the lies are dealt out anew."""
    seed: int = 0
    """Decides the tasks, the episodes and the lies."""
    oracle: Policies = ()
    """Oracles in place of those that ship, each a training seed of its family."""
    json: File = None
    """Write the results, with every interval and score, to this file, by family."""
    into: Files = ()
    """Also fill the place `<!-- suite:lies -->` of these documents with the table."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: Device = "auto"
    """Device that simulates; auto is cuda where there is a GPU."""

    def run(self) -> int:
        """Measure, and print a table for each family."""
        import json

        from meta.evaluation.lie import lie_test
        from meta.machine.files import write_atomically
        from pliant.views.lie_table import lies_table, print_lies
        from pliant.views.tables import check_places, filled

        check_can_be_written(self.json)
        check_places(self.into, (LIES,))
        cfg, oracles = self._cfg(), self._oracles()
        found: dict[str, Lies] = {}
        for name, group in oracles.items():
            with progress_bar(f"lying about {name}") as progress:
                found[name] = lie_test(
                    group, cfg, shuffles=self.shuffles, progress=progress
                )
            print_lies(found[name])
        if self.json:
            kept = {name: json.loads(x.to_json()) for name, x in found.items()}
            write_atomically(self.json, json.dumps(kept).encode())
        for path in self.into:
            text = filled(path, {LIES: lies_table(found.values())})
            write_atomically(path, text.encode())
        return 0

    def _cfg(self) -> "EvaluationCfg":
        from meta.evaluation.evaluation_cfg import EvaluationCfg
        from meta.evaluation.lie import EPISODES
        from meta.machine.devices import pick_device

        return EvaluationCfg(
            split=self.split,
            tasks=self.tasks,
            seed=self.seed,
            measure_episodes=EPISODES,
            threads=self.threads,
            device=pick_device(self.device),
        )

    def _oracles(self) -> "dict[str, list[Trained]]":
        """Return the oracles of each family, one per training seed."""
        from meta.machine.devices import pick_device
        from meta.registry import CEILING
        from meta.training.trained import SHIPPED, load_trained, shipped_policies
        from tasks.named import Trusted
        from tasks.registry import FAMILIES

        names = list(dict.fromkeys(self.families)) or list(FAMILIES)
        for name in names:
            check_family(name)
            check_split(name, self.split)
        for spec in self.oracle:
            check_policy(spec)
        device = pick_device(self.device)
        named = Trusted(family=self.families)
        given = [load_trained(spec, device, named) for spec in self.oracle]
        for trained in given:
            if trained.cfg.family not in names:
                raise ValueError(
                    f"{trained.source} is of family {trained.cfg.family}, not "
                    f"{' or '.join(names)}"
                )
        found: dict[str, list[Trained]] = {}
        for name in names:
            found[name] = [t for t in given if t.cfg.family == name] or [
                load_trained(f"{SHIPPED}{policy}", device)
                for policy in shipped_policies(name, CEILING)
            ]
            if not found[name]:
                raise ValueError(
                    f"no oracle ships for {name}; train one with: pliant train {name} "
                    "--method oracle, then give --oracle FOLDER"
                )
        return found
