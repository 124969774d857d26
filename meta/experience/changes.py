"""The changes of a task in mid-episode: what may change, and what it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.contract import check_teams
from tasks.family import Family
from tasks.rows import of_agent
from tasks.task import Task

_SPARE = 64
"""Worlds drawn beyond those needed, to find one that differs where there are few."""


def mattering(family: Family) -> tuple[str, ...]:
    """Return the hidden parameters that matter and can change within an episode."""
    still = {*family.scenery, *family.fixed_within_episode}
    return tuple(p.name for p in family.hidden if p.name not in still)


def check_changeable(family: Family) -> None:
    """Raise ValueError if a change within an episode can change nothing that matters.

    The message names the parameters that can change, and why the others cannot.
    """
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


def own(family: Family, agent: str) -> tuple[str, ...]:
    """Return what matters and is one agent's: the parameters that end with its name."""
    return of_agent(mattering(family), agent)


def draw_changes(
    family: Family, split: str, seed: int, count: int
) -> tuple[Sequence[Task], Sequence[Task]]:
    """Draw tasks, and what each becomes in mid-episode.

    What becomes of a task differs from it in a parameter that matters: tasks of which
    there are few kinds are passed over until one does. In a team, one agent's own
    parameters change, if it has any: each agent's in turn.

    Raises:
        ValueError: if nothing that matters can change, or it is alike in all tasks, or
            the tasks are no whole number of teams.
    """
    check_changeable(family)
    check_teams(family, count)
    drawn = family.sample(split, seed, 2 * count + _SPARE * family.team)[:: family.team]
    worlds = count // family.team
    before, after = list[Task](), list[Task]()
    for i, a in enumerate(drawn[: 2 * worlds : 2]):
        failing = family.agents[i % family.team] if family.agents else None
        b = _other(family, a, drawn[2 * i + 1 :], failing)
        before += family.of_team(a)
        after += family.of_team(b)
    return before, after


def changed(
    family: Family, before: Task, after: Task, agent: str | None = None
) -> Task:
    """`after`, with what cannot change within an episode as it was before.

    Args:
        family: of both.
        before: the task until then.
        after: another one.
        agent: of a team, the one whose own parameters change alone, if it has any.
    """
    names = own(family, agent) if agent else ()
    kept = {*before.parameters} - {*names} if names else family.fixed_within_episode
    same = {name: before.parameters[name] for name in kept}
    return replace(after, parameters=dict(after.parameters) | same)


def _other(
    family: Family, before: Task, among: Sequence[Task], agent: str | None
) -> Task:
    names = own(family, agent) if agent else ()
    names = names or mattering(family)
    for after in among:
        if _some(before.parameters, names) != _some(after.parameters, names):
            return changed(family, before, after, agent)
    raise ValueError(
        f"tasks of {family.name} on {before.split} are alike in {', '.join(names)}: "
        "there is nothing to change to"
    )


def _some(parameters: Mapping[str, object], names: Sequence[str]) -> list[object]:
    return [parameters[name] for name in names]
