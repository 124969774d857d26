"""Recordings of every family: physics states, or footage of what runs elsewhere."""

from pathlib import Path

from meta.recording.footage import Footage, film, is_footage, load_footage
from meta.recording.taping import record as record_states
from meta.recording.trajectory import Recording
from meta.recording.trajectory import load_recording as load_states
from meta.training.trained import Trained
from tasks.named import stand_in
from tasks.objects.object_set import Objects
from tasks.registry import elsewhere

Recorded = Recording | Footage


def record(
    trained: Trained,
    *,
    split: str = "held-out",
    seed: int = 0,
    adapt_episodes: int = 5,
    objects: Objects | None = None,
    change: str | None = None,
) -> Recorded:
    """Run a policy on one task, before and after adapting to it; see `taping`.

    Raises:
        ValueError: for an unknown split, a negative seed, no episode to adapt on, or an
            environment that is simulated elsewhere and not drawn, or whose tasks are to
            change.
    """
    plain = objects is None and change is None
    if plain and elsewhere(trained.cfg.family):
        return film(trained, split=split, seed=seed, adapt_episodes=adapt_episodes)
    return record_states(
        trained,
        split=split,
        seed=seed,
        adapt_episodes=adapt_episodes,
        objects=objects,
        change=change,
    )


def load_recording(path: str | Path, *, family: str | None = None) -> Recorded:
    """Read what `record` made and `save` wrote; nothing that it names is imported.

    Args:
        path: the file.
        family: its family, if it is one of yours: module:Class.

    Raises:
        ValueError: if the file is truncated, corrupt, too large, or no recording, or
            its family is another one.
        OSError: if it cannot be read.
    """
    path = Path(path)
    found = load_footage(path) if is_footage(path) else load_states(path, family)
    if family not in (None, found.family):
        advice = ""
        # footage is shown without its family
        if isinstance(found, Recording) and ":" in found.family and ":" in family:
            advice = f"; if it is {family} now, {stand_in(found.family, family)}"
        raise ValueError(f"{path} is of family {found.family}, not {family}{advice}")
    return found
