"""The command `pliant record`."""

from dataclasses import dataclass
from pathlib import Path

from pliant.cli.names import check_change, check_policy, check_split
from pliant.cli.options import (
    Named,
    Up,
    check_can_be_written,
    check_object_options,
    own_objects,
)
from pliant.cli.parsing import File, Name, Policy
from pliant.cli.progress import progress_bar


@dataclass(frozen=True, kw_only=True)
class Record(Named):
    """Run a policy on one task, before and after adapting, and keep what happened.

    Example: pliant record shipped:strike --split unseen --out blow.npz
    """

    policy: Policy
    """A run folder, a .safetensors file or shipped:NAME."""
    split: str = "held-out"
    """Split that the task is drawn from; `pliant list` shows a family's splits."""
    seed: int = 0
    """Decides the task and the episodes."""
    adapt_episodes: int = 5
    """Number of episodes to adapt on."""
    object: File = None
    """Use your own object, or one of a folder, as for `pliant evaluate`."""
    scale: float = 1.0
    """Metres per unit of your object's file: 0.001 for millimetres."""
    up: Up = "z"
    """Axis of your object's file that points upwards."""
    change: Name = None
    """Let something that matters about the task change in the course of both episodes:
    step, ramp, periodic or recurring. It adapts before."""
    report: bool = False
    """Say in words what was inferred of the task, and how surely; pictures and videos
    of the recording show it. For a policy that infers: rma, sysid or explore."""
    out: File = None
    """The recording; FAMILY-SPLIT-SEED.npz by default."""

    def run(self) -> int:
        """Record."""
        from meta.recording.recorded import record
        from meta.recording.trajectory import Recording
        from meta.training.trained import load_trained
        from pliant.reporting import check_report, with_report
        from pliant.views.recording_sheet import returns
        from tasks.parameters import current_split

        check_policy(self.policy)
        check_change(self.change)
        check_object_options(self.object, self.scale, self.up)
        check_can_be_written(self.out, ".npz")
        trained = load_trained(self.policy, named=self.named)
        self.check_named(trained)
        check_split(trained.cfg.family, self.split)
        check_report(trained, self.report)
        family = trained.cfg.family
        objects = own_objects(self.object, self.scale, self.up, family)
        with progress_bar("recording"):
            recording = record(
                trained,
                split=self.split,
                seed=self.seed,
                adapt_episodes=self.adapt_episodes,
                objects=objects,
                change=self.change,
            )
            recording = with_report(recording, trained, self.report)
        split = current_split(self.split).replace(":", "-")
        out = self.out or Path(f"{family}-{split}-{self.seed}.npz")
        recording.save(out)
        if isinstance(recording, Recording) and recording.report:
            print(recording.report)
        print(f"recorded {out}: return {returns(recording)}")
        return 0
