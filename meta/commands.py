"""The commands of `pliant` but train: their options, and what they do.

Each imports what it needs when it runs, so that `--help` stays fast.
"""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

Device = Literal["auto", "cpu", "cuda"]

if TYPE_CHECKING:
    from meta.trajectory import Recording
    from tasks.family import Family
    from tasks.parameters import Parameter


@dataclass(frozen=True, kw_only=True)
class List:
    """Show the task families, their parameters and ranges, and the shipped policies.

    Example: pliant list --json
    """

    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print the list."""
        from meta.checkpoint import SHIPPED, shipped_policies
        from tasks.registry import FAMILIES, make_family

        families = [_describe(make_family(name)) for name in FAMILIES]
        policies = [f"{SHIPPED}{name}" for name in shipped_policies()]
        if self.json:
            print(json.dumps({"families": families, "policies": policies}, indent=1))
            return 0
        for family in families:
            _show(family)
        print(f"shipped policies: {', '.join(policies) or 'none'}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure how return and success grow with the episodes a policy adapts on.

    Random, DR and oracle are measured on the same tasks. A policy is a run folder, a
    .safetensors file or shipped:NAME; several count as the seeds of one method.

    Example: pliant evaluate shipped:strike --split unseen-shapes --report results
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
    dr: tuple[str, ...] = ()
    """The DR baseline, one per seed; those shipped for the family by default."""
    oracle: tuple[str, ...] = ()
    """The oracle, one per seed; those shipped for the family by default."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: Device = "auto"
    """What simulates and adapts, cpu or cuda; auto is cuda where there is one."""

    def run(self) -> int:
        """Evaluate and print the table."""
        from meta.checkpoint import load_trained, shipped_baselines, write_atomically
        from meta.evaluate import evaluate
        from meta.report import print_table, write_report
        from meta.train import pick_device

        self._check()
        device = pick_device(self.device)
        policies = [load_trained(spec, device) for spec in self.policies]
        family = policies[0].cfg.family
        baselines = {
            name: [
                load_trained(spec, device)
                for spec in given or shipped_baselines(family, name)
            ]
            for name, given in (("dr", self.dr), ("oracle", self.oracle))
        }
        result = evaluate(
            policies,
            dr=baselines["dr"],
            oracle=baselines["oracle"],
            split=self.split,
            tasks=self.tasks,
            episodes=_numbers(self.episodes),
            seed=self.seed,
            threads=self.threads,
            device=device,
        )
        print_table(result)
        if self.json:
            write_atomically(self.json, result.to_json().encode())
        if self.report:
            write_report(result, self.report)
        return 0

    def _check(self) -> None:
        """Refuse at once what would otherwise end minutes of measuring."""
        if not self.policies:
            raise ValueError("name at least one policy: pliant evaluate POLICY...")
        if self.seed < 0 or self.threads < 0:
            raise ValueError(
                f"seed and threads must be >= 0, got {self.seed} and {self.threads}"
            )
        _check_can_be_written(self.json)
        if self.report and self.report.exists() and not self.report.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.report))


@dataclass(frozen=True, kw_only=True)
class Record:
    """Run a policy on one task, before and after adapting, and keep the trajectory.

    Example: pliant record shipped:strike --split unseen-shapes --out blow.npz
    """

    policy: str
    """A run folder, a .safetensors file or shipped:NAME."""
    split: str = "held-out"
    """Where the task comes from."""
    seed: int = 0
    """Decides the task and the episodes."""
    adapt_episodes: int = 5
    """Episodes to adapt on."""
    out: Path | None = None
    """The trajectory; named after family, split and seed by default."""

    def run(self) -> int:
        """Record."""
        from meta.checkpoint import load_trained
        from meta.trajectory import record

        _check_can_be_written(self.out)
        recording = record(
            load_trained(self.policy),
            split=self.split,
            seed=self.seed,
            adapt_episodes=self.adapt_episodes,
        )
        family = recording.task.family
        out = self.out or Path(f"{family}-{self.split}-{self.seed}.npz")
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
        from meta.replay import show, verify, write_video
        from meta.trajectory import load_recording

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
class Doctor:
    """Check versions, devices, rendering, the runs folder and the speed.

    Every finding is a line, with the cure where something is wrong; the exit code is 0
    if nothing fails.

    Example: pliant doctor
    """

    def run(self) -> int:
        """Examine this machine."""
        from meta.doctor import examine

        return examine()


def _describe(family: "Family") -> dict[str, Any]:
    return {
        "name": family.name,
        "summary": family.summary,
        "splits": list(family.splits),
        "horizon": family.horizon,
        "observation": family.obs_dim,
        "action": family.action_dim,
        "parameters": [_parameter(p, family.splits) for p in family.parameters],
    }


def _parameter(parameter: "Parameter", splits: tuple[str, ...]) -> dict[str, Any]:
    """A parameter's own fields, and what it is drawn from in each split."""
    from tasks.parameters import Choice, Scalar

    row: dict[str, Any] = {"name": parameter.name, "hidden": parameter.hidden}
    match parameter:
        case Scalar():
            ranges = {s: [list(i) for i in parameter.intervals(s)] for s in splits}
            row |= {"unit": parameter.unit, "log": parameter.log, "ranges": ranges}
        case Choice():
            row["unit"] = None
            row["ranges"] = {
                s: list(
                    parameter.unseen
                    if s == "unseen-shapes" and parameter.unseen
                    else parameter.options
                )
                for s in splits
            }
        case _:
            pass
    return row


def _show(family: dict[str, Any]) -> None:
    print(f"{family['name']}: {family['summary']}")
    for row in family["parameters"]:
        ranges: dict[str, list[Any]] = row.get("ranges", {})
        train = ranges.get("train", [])
        other = [
            f"{split} {_range(values)}"
            for split, values in ranges.items()
            if values != train and split != "held-out"
        ]
        unit = f" [{row['unit']}]" if row.get("unit") else ""
        seen = "hidden" if row["hidden"] else "observed"
        print(f"  {row['name']}{unit}, {seen}: {'; '.join([_range(train), *other])}")
    print(f"  splits: {', '.join(family['splits'])}\n")


def _range(values: list[Any]) -> str:
    texts = [v if isinstance(v, str) else f"{v[0]:g} to {v[1]:g}" for v in values]
    return ", ".join(texts)


def _check_can_be_written(path: Path | None) -> None:
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


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"--episodes takes whole numbers such as 0,1,5, got {text!r}"
        ) from None


def _returns(recording: "Recording") -> str:
    before, after = (float(t.rewards.sum()) for t in recording.episodes)
    return f"{before:.3f} before adapting, {after:.3f} after"
