"""The command `pliant evaluate`."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pliant.cli.names import check_change, check_policy, check_split
from pliant.cli.options import (
    Device,
    Named,
    Up,
    check_can_be_written,
    check_object_options,
    language_model,
    numbers,
    own_objects,
    reported,
    warned,
)
from pliant.cli.parsing import File, Folder, Name, Numbers, Policies, Text
from pliant.cli.progress import progress_bar

if TYPE_CHECKING:
    from meta.evaluation.evaluation_cfg import EvaluationCfg
    from meta.training.trained import Trained

    Groups = dict[str, list[Trained]]


@dataclass(frozen=True, kw_only=True)
class Evaluate(Named):
    """Measure how return and success grow with the episodes that a policy adapts on.

    Always measured beside it, on the same tasks: random actions; DR, one robust policy,
    with memory where there is one; DR fine-tuned; PPO from scratch; the oracle, which
    observes what is hidden; and every other method that ships for the family.

    A policy is a run folder, a .safetensors file or shipped:NAME. Several are taken as
    the training seeds of one method.

    Example: pliant evaluate shipped:strike --split unseen --report results
    """

    policies: Policies
    """The policies to evaluate."""
    split: str = "held-out"
    """Split that the tasks are drawn from; `pliant list` shows a family's splits."""
    tasks: int = 40
    """Number of tasks."""
    episodes: Numbers = "0,1,2,3,5,10"
    """Numbers of episodes to adapt on."""
    seed: int = 0
    """Decides the tasks and the episodes."""
    json: File = None
    """Write the results, with every interval, to this file."""
    report: Folder = None
    """Write the table and draw the curves in this folder."""
    beside: Policies = ()
    """Policies to compare with. They replace the shipped ones of the same method."""
    alone: bool = False
    """Compare with random, DR, fine-tuning, scratch, oracle and --beside only."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: Device = "auto"
    """Device that simulates and adapts; auto is cuda where there is a GPU."""
    object: File = None
    """Use your own object in every task: a closed mesh (.obj, .stl, .ply, .glb, .gltf,
    .off), an MJCF body (.xml), a .urdf, or a folder of several."""
    scale: float = 1.0
    """Metres per unit of your object's file: 0.001 for millimetres."""
    up: Up = "z"
    """Axis of your object's file that points upwards."""
    change: Name = None
    """Measure instead how soon each method recovers when something that matters about
    its task changes in mid-episode: step, ramp, periodic or recurring."""
    told: Text = None
    """Measure instead the policy told these words about its tasks, beside itself
    untold: "a wet bar of soap, heavy on the left"."""
    model: Text = None
    """URL of a language model that reads the words and writes the report, such as
    http://127.0.0.1:8080/v1; or minilm, a packaged encoder that reads by meaning.
    Without one a lexicon reads, and a template writes."""
    cassette: File = None
    """Take the model's answers from this file, and add those that it lacks."""

    def run(self) -> int:
        """Evaluate and print the table."""
        from meta.evaluation.baselines import with_shipped
        from meta.evaluation.evaluation_cfg import EvaluationCfg
        from meta.machine.devices import pick_device
        from meta.training.trained import load_trained

        self._check()
        device = pick_device(self.device)
        cfg = EvaluationCfg(
            split=self.split,
            tasks=self.tasks,
            episodes=numbers(self.episodes, "--episodes"),
            seed=self.seed,
            threads=self.threads,
            device=device,
        )
        policies = [load_trained(spec, device, self.named) for spec in self.policies]
        others = [load_trained(spec, device, self.named) for spec in self.beside]
        self.check_named(*policies, *others)
        check_split(policies[0].cfg.family, self.split)
        groups = with_shipped(policies[0], others, device, alone=self.alone)
        # last, for cutting a mesh into convex parts takes a while
        own = own_objects(self.object, self.scale, self.up, policies[0].cfg.family)
        cfg = replace(cfg, objects=own)
        if self.told is not None:
            kept = {trained.cfg.method for trained in others}
            return self._tell(self.told, policies, groups, cfg, kept)
        return (self._recover if self.change else self._adapt)(policies, groups, cfg)

    def _adapt(
        self, policies: "Sequence[Trained]", groups: "Groups", cfg: "EvaluationCfg"
    ) -> int:
        from meta.evaluation.baselines import taken_out
        from meta.evaluation.evaluate import evaluate
        from meta.machine.files import write_atomically
        from pliant.views.report import print_table, write_report

        floor, oracle = taken_out(groups)
        rivals = [trained for group in groups.values() for trained in group]
        with progress_bar("evaluating") as progress:
            result = evaluate(
                policies,
                cfg,
                floor=floor,
                oracle=oracle,
                rivals=rivals,
                progress=progress,
            )
        print_table(result)
        if self.json:
            write_atomically(self.json, result.to_json().encode())
        if self.report:
            write_report(result, self.report)
        return 0

    def _recover(
        self, policies: "Sequence[Trained]", groups: "Groups", cfg: "EvaluationCfg"
    ) -> int:
        from meta.evaluation.mid_episode import recoveries
        from meta.machine.files import write_atomically
        from pliant.views.recovery import print_changed, write_changed

        with progress_bar("evaluating") as progress:
            results = recoveries(
                policies, groups, cfg, kind=self.change or "step", progress=progress
            )
        print_changed(results)
        if self.report:
            write_changed(results, self.report)
        if self.json:
            write_atomically(self.json, results.to_json().encode())
        return 0

    def _tell(
        self,
        words: str,
        policies: "Sequence[Trained]",
        groups: "Groups",
        cfg: "EvaluationCfg",
        kept: set[str],
    ) -> int:
        """Measure what words are worth, beside the floor, the oracle and --beside."""
        from meta.evaluation.baselines import taken_out
        from meta.evaluation.worth import worth
        from meta.machine.files import write_atomically
        from pliant.telling import believe, unheard
        from pliant.views.told import paragraph, print_told

        floor, oracle = taken_out(groups)
        rivals = [g for g in groups.values() if g and g[0].cfg.method in kept]
        beside = {t[0].cfg.method: t for t in (floor, oracle, *rivals) if t}
        family = policies[0].cfg.family
        _check_can_be_told(policies[0])  # before a model is asked
        model = language_model(self.model, self.cassette)
        with warned() as caught:
            belief = believe(words, family, model=model)
        if not belief.about:
            # told nothing, the policy acts as untold, bit for bit
            raise ValueError(f"{unheard(family)}: there is nothing to measure")
        with progress_bar("evaluating") as progress:
            result = worth(
                policies, belief, cfg, beside=beside, text=words, progress=progress
            )
        print_told(result)
        if self.json:
            write_atomically(self.json, result.to_json().encode())
        # last, so that nothing is lost; a model that failed before is not asked again
        if said := paragraph(result):
            print(said if caught else reported(said, family, model))
        return 0

    def _check(self) -> None:
        """Refuse at once what would otherwise end minutes of measuring."""
        if not self.policies:
            raise ValueError("name at least one policy: pliant evaluate POLICY...")
        check_change(self.change)
        telling = self.told is not None
        if self.told is not None and not self.told.strip():
            raise ValueError(f"--told takes words about the tasks, got {self.told!r}")
        if self.change and telling:
            raise ValueError("--change and --told are measured apart: leave one out")
        if telling and self.report:
            raise ValueError("--told has no report; --json keeps its figures")
        if not telling and (self.model or self.cassette):
            raise ValueError("--model and --cassette read the words that --told gives")
        if self.change and self.episodes != type(self).episodes:
            raise ValueError(
                "--change measures all episodes until a method has only met the new "
                "task: leave out --episodes"
            )
        if self.change and self.object:
            raise ValueError(
                "--change is for the family's own tasks: leave out --object"
            )
        check_object_options(self.object, self.scale, self.up)
        for spec in (*self.policies, *self.beside):
            check_policy(spec)
        check_can_be_written(self.json)
        for path in (self.report, *self.report.parents) if self.report else ():
            if path.exists() and not path.is_dir():
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        if self.report and self.report.is_dir():
            check_can_be_written(self.report / "report.md")
            check_can_be_written(self.report / "curve.png")
            check_can_be_written(self.report / "recovery.png")


def _check_can_be_told(policy: "Trained") -> None:
    """Refuse a policy that infers nothing, and name one of its family that does.

    Raises:
        ValueError: for such a policy.
    """
    from meta.learners.told import adapter_of
    from meta.training.trained import shipped_policies

    try:
        adapter_of(policy.learner)
    except ValueError as error:
        name = f"{policy.cfg.family}-explore"
        able = f", such as shipped:{name}" if name in shipped_policies() else ""
        raise ValueError(f"{error}{able}") from None
