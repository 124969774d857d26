"""The command `pliant live`."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pliant.cli.names import check_policy, check_split
from pliant.cli.options import Named
from pliant.cli.parsing import Folder, Name, Numbers, Policy
from pliant.cli.progress import progress_bar

if TYPE_CHECKING:
    from meta.continual.journal import Life
    from meta.continual.stream import Stream
    from meta.training.trained import Trained

_HABITS = ("recall", "notice", "explore", "look", "sure", "mistaken", "acted", "most")
_DRAWN: Mapping[str, object] = {
    name: None for name in ("visits", "episodes", "split", "inside", "changes")
}
"""Options that only a stream that is drawn has."""


@dataclass(frozen=True, kw_only=True)
class Live(Named):
    """Let an agent live a stream of tasks, of whose changes it is not told.

    The policy stays as it is. The agent notices that the task has changed, explores,
    recalls the earlier task that this probably is, or adapts by itself. Every episode
    is kept in the folder; `pliant replay FOLDER/episodes/000012.npz` shows one beside
    the first of its visit. In a team each robot is an agent of its own: it notices and
    remembers for itself alone.

    A life that was stopped, however it was, goes on with the same command and
    --resume, and is then the life that it would have been.

    Example: pliant live shipped:drive-slide-explore --visits 10 --out runs/life
    """

    policy: Policy
    """A run folder, a .safetensors file or shipped:NAME, of a policy that adapts."""
    stream: Name = "recurring"
    """Kind of stream: recurring, fresh, periodic or ramp; or the file of one, which
    leaves nothing to the next five options."""
    visits: int = 20
    """Number of visits to tasks."""
    episodes: Numbers = "4,8"
    """Least and greatest number of episodes in a visit."""
    split: str = "held-out"
    """Split that the tasks are drawn from; `pliant list` shows a family's splits."""
    inside: bool = False
    """Let tasks change half way through an episode, and not between episodes."""
    changes: Literal["task", "agent", "both"] = "task"
    """Part of a team's task that changes: all of it; one agent's own parameters alone,
    the same agent's in the whole life; or by turns all of it, and one agent's."""
    recall: Literal["similar", "none", "recent", "random"] = "similar"
    """Earlier task that the agent recalls: one that this one probably is, or none; or,
    to compare, the most recent one or any."""
    notice: Literal["none", "change", "task"] = "none"
    """Tell the agent nothing; when the task changes; or which task it is, too."""
    explore: int = 1
    """Exploring episodes with a task that the agent does not know. The first episode
    of a life explores in any case."""
    look: int = 0
    """Exploring episodes before the agent looks for an earlier task."""
    sure: float = 0.7
    """Probability from which on an earlier task counts as this one; before the agent
    has explored, from which on what it knows of that one serves here, too."""
    mistaken: bool = False
    """Let the agent adapt to the episode in which it noticed the change, too."""
    acted: bool = False
    """Let the agent adapt to episodes that it acted in, too."""
    most: int = 1000
    """Tasks that the agent keeps."""
    seed: int = 0
    """Decides the stream and the episodes."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    out: Folder = None
    """Folder of the life; runs/FAMILY-life-seedSEED by default."""
    resume: bool = False
    """Go on with the life in the folder, by what it was begun with."""

    def run(self) -> int:
        """Live, and say what happens."""
        from meta.continual.journal import live_on
        from meta.training.trained import load_trained
        from pliant.views.life import draw_life, say, summary

        check_policy(self.policy)
        policy = load_trained(self.policy, named=self.named)
        self.check_named(policy)
        name = policy.cfg.family.replace(":", "-")
        folder = self.out or Path("runs") / f"{name}-life-seed{self.seed}"
        life = self._life(folder, policy)
        lived = []
        for row in live_on(folder, policy, threads=self.threads):
            lived.append(row)
            print(say(row, lived), flush=True)
        print(summary(lived, life.stream))
        picture = folder / "life.png"
        draw_life(lived, life.stream, picture)
        print(f"drawn in {picture}")
        return 0

    def _life(self, folder: Path, policy: "Trained") -> "Life":
        """Begin the life, or find it in its folder."""
        from meta.continual.habits import Habits
        from meta.continual.journal import begin_life, load_life

        if self.resume:
            life = load_life(folder)
            begun = {n: getattr(life.habits, n) for n in _HABITS} | {"seed": life.seed}
            self._refuse("the life was begun with other", begun)
            return life
        if not (self.explore or self.mistaken or self.acted):
            raise ValueError(
                "--explore 0 leaves nothing to adapt to: add --mistaken or --acted"
            )
        habits = Habits(
            recall=self.recall,
            notice=self.notice,
            explore=self.explore,
            look=self.look,
            sure=self.sure,
            mistaken=self.mistaken,
            acted=self.acted,
            most=self.most,
        )
        stream = self._stream(policy)
        with progress_bar("fitting the senses"):
            return begin_life(
                folder,
                policy,
                stream,
                habits,
                seed=self.seed,
                threads=self.threads,
                fitting=_say_fitting,
            )

    def _refuse(self, why: str, known: Mapping[str, object]) -> None:
        """Refuse options that were given, and that say something else."""
        given = {f.name: f.default for f in fields(self) if f.name in known}
        other = [
            f"--{name}"
            for name, default in given.items()
            if getattr(self, name) not in (default, known[name])
        ]
        if other:
            raise ValueError(f"{why} {', '.join(other)}: leave it out")

    def _stream(self, policy: "Trained") -> "Stream":
        from meta.continual.draw import KINDS, make_stream
        from meta.continual.stream import load_stream
        from pliant.cli.options import numbers
        from tasks.registry import find_family

        family = find_family(policy.cfg.family, "cpu")
        if self.stream not in KINDS:
            if not Path(self.stream or "").is_file():
                raise ValueError(
                    f"no stream {self.stream!r}: give one of {', '.join(KINDS)}, or a "
                    "file"
                )
            self._refuse("the file of a stream says", _DRAWN)
            return load_stream(self.stream or "", family)
        check_split(policy.cfg.family, self.split)
        lengths = numbers(self.episodes, "--episodes")
        if len(lengths) != 2:
            raise ValueError(
                "--episodes takes the least and greatest number in a visit, "
                f"such as 4,8, got {self.episodes!r}"
            )
        return make_stream(
            family,
            self.stream,
            visits=self.visits,
            episodes=(lengths[0], lengths[1]),
            split=self.split,
            seed=self.seed,
            inside=self.inside,
            changes=self.changes,
        )


def _say_fitting() -> None:
    """Say why nothing happens for a while, where no bar is drawn."""
    if not sys.stderr.isatty():
        print("pliant: fitting the senses takes about a minute", file=sys.stderr)
