"""The changes of a task in mid-episode: what may change, and what it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.contract import check_alone
from tasks.family import Family
from tasks.task import Task

_SPARE = 64
"""Tasks drawn beyond those needed, to find one that differs where there are few."""


def mattering(family: Family) -> tuple[str, ...]:
    """Return the hidden parameters that matter and can change within an episode."""
    still = {*family.scenery, *family.fixed_within_episode}
    return tuple(p.name for p in family.hidden if p.name not in still)


def check_changeable(family: Family) -> None:
    """Raise ValueError if a change within an episode can change nothing that matters.

    The message names the parameters that can change, and why the others cannot.
    """
    check_alone(family, "a change in mid-episode")
    if mattering(family):
        return
    fixed = family.fixed_within_episode
    reasons: dict[str, list[str]] = {}
    for p in family.hidden:
        if p.name in fixed and p.name not in family.scenery:
            reasons.setdefault(fixed[p.name], []).append(p.name)
    said = [f"{', '.join(names)} cannot ({why})" for why, names in reasons.items()]
    if free := [p.name for p in family.hidden if p.name not in fixed]:
        verb = "is" if len(free) == 1 else "are"
        said.append(f"{', '.join(free)} can, and {verb} scenery")
    raise ValueError(
        f"nothing that matters on {family.name} can change in mid-episode: "
        + "; ".join(said)
    )


def draw_changes(
    family: Family, split: str, seed: int, count: int
) -> tuple[Sequence[Task], Sequence[Task]]:
    """Draw tasks, and what each becomes in mid-episode.

    What becomes of a task differs from it in a parameter that matters: tasks of which
    there are few kinds are passed over until one does.

    Raises:
        ValueError: if nothing that matters can change, or it is alike in all tasks.
    """
    check_changeable(family)
    drawn = family.sample(split, seed, 2 * count + _SPARE)
    before = drawn[: 2 * count : 2]
    after = [_other(family, a, drawn[2 * i + 1 :]) for i, a in enumerate(before)]
    return before, after


def changed(family: Family, before: Task, after: Task) -> Task:
    """`after`, with what cannot change within an episode as it was before."""
    kept = {name: before.parameters[name] for name in family.fixed_within_episode}
    return replace(after, parameters=dict(after.parameters) | kept)


def _other(family: Family, before: Task, among: Sequence[Task]) -> Task:
    names = mattering(family)
    for after in among:
        if _some(before.parameters, names) != _some(after.parameters, names):
            return changed(family, before, after)
    raise ValueError(
        f"tasks of {family.name} on {before.split} are alike in {', '.join(names)}: "
        "there is nothing to change to"
    )


def _some(parameters: Mapping[str, object], names: Sequence[str]) -> list[object]:
    return [parameters[name] for name in names]
