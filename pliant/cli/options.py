"""The commands of `pliant` but train and list: their options, and what they do.

Each imports what it needs when it runs, so that `--help` stays fast.
"""

import errno
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

Device = Literal["auto", "cpu", "cuda"]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meta.recording.trajectory import Recording
    from meta.training.trained import Trained
    from tasks.objects.solids import Solid

    Groups = dict[str, list[Trained]]


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure how return and success grow with the episodes a policy adapts on.

    Random, DR, DR fine-tuned, PPO from scratch and the oracle are measured on the same
    tasks, and every other method that ships for the family. A policy is a run folder, a
    .safetensors file or shipped:NAME; several count as the seeds of one method.

    Example: pliant evaluate shipped:strike --split unseen --report results
    """

    policies: tuple[str, ...]
    """What to evaluate."""
    split: str = "held-out"
    """Where the tasks come from; `pliant list` shows a family's splits."""
    tasks: int = 40
    """Number of tasks."""
    episodes: str = "0,1,2,3,5,10"
    """Numbers of episodes to adapt on."""
    seed: int = 0
    """Decides the tasks and the episodes."""
    json: Path | None = None
    """Write the results here."""
    report: Path | None = None
    """Write the table and draw the curves in this folder."""
    beside: tuple[str, ...] = ()
    """Baselines and rivals, one a seed, in place of those of their methods that ship
    for the family."""
    alone: bool = False
    """Leave out the rivals that are not named in --beside; random, DR, fine-tuning and
    oracle always stay."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: Device = "auto"
    """What simulates and adapts, cpu or cuda; auto is cuda where there is one."""

    object: Path | None = None
    """An object of your own for every task, instead of the family's: a closed mesh in
    metres (.obj, .stl) or an MJCF body (.xml)."""
    change: bool = False
    """Measure instead how soon the methods recover from another task in mid-episode."""

    def run(self) -> int:
        """Evaluate and print the table."""
        from meta.evaluation.baselines import with_shipped
        from meta.machine.devices import pick_device
        from meta.training.trained import load_trained

        self._check()
        device = pick_device(self.device)
        policies = [load_trained(spec, device) for spec in self.policies]
        others = [load_trained(spec, device) for spec in self.beside]
        groups = with_shipped(policies[0], others, device, alone=self.alone)
        return (self._recover if self.change else self._adapt)(policies, groups)

    def _adapt(self, policies: "Sequence[Trained]", groups: "Groups") -> int:
        from meta.evaluation.evaluate import evaluate
        from meta.machine.files import write_atomically
        from pliant.views.report import print_table, write_report

        dr, oracle = groups.pop("dr"), groups.pop("oracle")
        result = evaluate(
            policies,
            dr=dr,
            oracle=oracle,
            rivals=[trained for group in groups.values() for trained in group],
            split=self.split,
            tasks=self.tasks,
            episodes=numbers(self.episodes, "--episodes"),
            seed=self.seed,
            threads=self.threads,
            device=policies[0].theta["moments/mean"].device,
            object=own_object(self.object),
        )
        print_table(result)
        if self.json:
            write_atomically(self.json, result.to_json().encode())
        if self.report:
            write_report(result, self.report)
        return 0

    def _recover(self, policies: "Sequence[Trained]", groups: "Groups") -> int:
        from meta.evaluation.mid_episode import recoveries
        from meta.machine.files import write_atomically
        from pliant.views.tables import print_changed

        results = recoveries(
            policies,
            groups,
            split=self.split,
            tasks=self.tasks,
            seed=self.seed,
            threads=self.threads,
        )
        print_changed(results)
        if self.json:
            write_atomically(self.json, results.to_json().encode())
        return 0

    def _check(self) -> None:
        """Refuse at once what would otherwise end minutes of measuring."""
        if not self.policies:
            raise ValueError("name at least one policy: pliant evaluate POLICY...")
        if self.seed < 0 or self.threads < 0:
            raise ValueError(
                f"seed and threads must be >= 0, got {self.seed} and {self.threads}"
            )
        if self.change and self.report:
            raise ValueError("--change has no report; --json keeps its figures")
        if self.change and self.object:
            raise ValueError("--change is for the family's own tasks: leave --object")
        check_can_be_written(self.json)
        if self.report and self.report.exists() and not self.report.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.report))


@dataclass(frozen=True, kw_only=True)
class Record:
    """Run a policy on one task, before and after adapting, and keep the trajectory.

    Example: pliant record shipped:strike --split unseen --out blow.npz
    """

    policy: str
    """A run folder, a .safetensors file or shipped:NAME."""
    split: str = "held-out"
    """Where the task comes from."""
    seed: int = 0
    """Decides the task and the episodes."""
    adapt_episodes: int = 5
    """Episodes to adapt on."""
    object: Path | None = None
    """An object of your own (.obj, .stl, .xml), as for `pliant evaluate`."""
    out: Path | None = None
    """The trajectory; named after family, split and seed by default."""

    def run(self) -> int:
        """Record."""
        from meta.recording.trajectory import record
        from meta.training.trained import load_trained

        check_can_be_written(self.out)
        recording = record(
            load_trained(self.policy),
            split=self.split,
            seed=self.seed,
            adapt_episodes=self.adapt_episodes,
            object=own_object(self.object),
        )
        family = recording.task.family
        out = self.out or Path(f"{family}-{recording.task.split}-{self.seed}.npz")
        recording.save(out)
        print(f"recorded {out}: return {_returns(recording)}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Watch a recorded trajectory in a viewer, or write it as a video.

    Example: pliant replay blow.npz --mp4 blow.mp4
    """

    trajectory: Path
    """A file that `pliant record` wrote."""
    mp4: Path | None = None
    """Write a video here instead of opening a viewer."""

    def run(self) -> int:
        """Replay."""
        from meta.recording.replay import verify
        from meta.recording.trajectory import load_recording
        from pliant.views.video import write_video
        from pliant.views.viewer import show

        if self.mp4 and self.mp4.suffix != ".mp4":
            raise ValueError(f"--mp4 takes a file name ending in .mp4, got {self.mp4}")
        check_can_be_written(self.mp4)
        recording = load_recording(self.trajectory)
        difference = verify(recording)
        if difference:
            print(f"replayed states differ by up to {difference:.1e}: other machine?")
        if self.mp4:
            write_video(recording, self.mp4)
            print(f"wrote {self.mp4}: return {_returns(recording)}")
        else:
            show(recording)
        return 0


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained policy as one small file, to use or to share.

    It holds no optimiser: it can be evaluated and recorded, but not trained on.

    Example: pliant export runs/strike-maml-seed0 strike.safetensors
    """

    policy: str
    """A run folder, a .safetensors file or shipped:NAME."""
    out: Path
    """The file."""

    def run(self) -> int:
        """Export."""
        from meta.training.trained import export_policy

        if self.out.suffix != ".safetensors":
            raise ValueError(f"the policy becomes a .safetensors file, got {self.out}")
        check_can_be_written(self.out)
        export_policy(self.policy, self.out)
        print(f"wrote {self.out}: {self.out.stat().st_size:,} bytes")
        return 0


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check versions, devices, rendering, the runs folder and the speed.

    Every finding is a line, with the cure where something is wrong; the exit code is 0
    if nothing fails.

    Example: pliant doctor
    """

    def run(self) -> int:
        """Examine this machine."""
        from pliant.cli.doctor import examine

        return examine()


def own_object(path: Path | None) -> "Solid | None":
    """Read a user's object, and say on stderr what of it was lost."""
    if path is None:
        return None
    from tasks.objects.mesh_file import load_solid

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        solid = load_solid(path)
    for warning in caught:
        if warning.category is UserWarning:
            print(f"pliant: {warning.message}", file=sys.stderr)
    return solid


def check_can_be_written(path: Path | None) -> None:
    """Raise OSError for a file that could not be written; none is fine."""
    if path is None:
        return
    code = 0
    if path.is_dir():
        code = errno.EISDIR
    elif not path.parent.is_dir():
        code = errno.ENOENT
    elif not os.access(path.parent, os.W_OK):
        code = errno.EACCES
    if code:
        raise OSError(code, os.strerror(code), str(path))


def numbers(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers that an option lists, or ValueError."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{option} takes whole numbers such as 0,1,5, got {text!r}"
        ) from None


def _returns(recording: "Recording") -> str:
    before, after = (float(t.rewards.sum()) for t in recording.episodes)
    return f"{before:.3f} before adapting, {after:.3f} after"
