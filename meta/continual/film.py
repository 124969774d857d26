"""Recordings of the episodes of a life."""

from pathlib import Path

from meta.continual.stream import Moment, Stream
from meta.experience.rollout import Rollout
from meta.machine.seeds import derived_seed
from meta.recording.taping import taped
from meta.recording.trajectory import (
    Recording,
    Trajectory,
    load_recording,
    world_hash,
)
from meta.training.trained import Trained
from robots.sim.tape import Tape
from tasks.contract import Worlds
from tasks.env import Env
from tasks.registry import elsewhere, find_family, make_env, make_family
from tasks.simulators import make_simulator


class Film:
    """The one world of a life, and recordings of what happens in it.

    Worlds that are simulated elsewhere are not recorded, nor are episodes in which the
    task changes.

    Args:
        policy: the policy that lives it.
        source: where it is, as recordings name it.
        stream: the tasks.
        seed: the life's.
        folder: where recordings go.
        threads: simulator threads of worlds elsewhere.
    """

    def __init__(
        self,
        policy: Trained,
        source: str,
        stream: Stream,
        *,
        seed: int,
        folder: Path,
        threads: int,
    ) -> None:
        self.source, self.stream, self.seed = source, stream, seed
        self.folder = folder
        self.tape: Tape | None = None
        self._first: tuple[int, Trajectory] | None = None
        self._hashes: dict[int, str] = {}
        if elsewhere(policy.cfg.family):
            outside = find_family(policy.cfg.family, "cpu")
            self.env: Worlds = make_env(outside, worlds=outside.team, threads=threads)
            return
        family = make_family(policy.cfg.family)
        self.tape = Tape(make_simulator(family, 1, threads=1))
        self.env = Env(family, worlds=family.team, simulator=self.tape)

    def keep(self, rollout: Rollout, moment: Moment, behind: int) -> None:
        """Write the recording of an episode, beside the first one of its visit."""
        if self.tape is None or moment.before != moment.task:
            return
        seed = derived_seed(self.seed, moment.episode)
        run = taped(self.tape, rollout, adapted=behind, seed=seed)
        if self._first is None or self._first[0] != moment.visit:
            self._first = moment.visit, self._began(moment) or run
        task = moment.task
        if task not in self._hashes:
            self._hashes[task] = world_hash(self.tape.sim)
        recording = Recording(
            task=self.stream.tasks[task],
            model_hash=self._hashes[task],
            policy=self.source,
            before=self._first[1],
            after=run,
        )
        recording.save(recording_file(self.folder, moment.episode))

    def _began(self, moment: Moment) -> Trajectory | None:
        """Return the first recorded episode of a visit, if it was lived before."""
        first = moment.episode - moment.age
        for episode in range(first, moment.episode):
            path = recording_file(self.folder, episode)
            if path.exists():
                return load_recording(path).after
        return None


def recording_file(folder: Path, episode: int) -> Path:
    """Return where an episode's recording is, in the folder of a life's episodes."""
    return folder / f"{episode:06}.npz"
