"""The command `pliant list`: families with what they hide, and shipped policies."""

import itertools
import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pliant.cli.names import check_family
from pliant.cli.options import check_can_be_written
from pliant.cli.parsing import File, Name

if TYPE_CHECKING:
    from tasks.contract import TaskFamily
    from tasks.parameters import Parameter

_GROUPS = {
    "hidden parameters": (True, False),
    "hidden, but scenery (not knowing one costs next to nothing)": (True, True),
    "observed parameters": (False, False),
}
"""Titles of groups of parameters, and whether their members are hidden, and scenery."""
_SUMMARY = 48
"""Column in which a family's summary begins."""
_MANY = 4
"""Numbered names from which on the first and the last stand for all."""


@dataclass(frozen=True, kw_only=True)
class List:
    """Show the task families, or one in full, and the policies that ship.

    With --family: the parameters and their ranges, what counts as success, the splits
    and the shipped policies of that family.

    Example: pliant list --family push
    """

    json: bool = False
    """Print everything as JSON."""
    family: Name = None
    """Show this family in full."""
    pictures: File = None
    """Draw how tasks of each split begin, to this file; needs --family."""

    def run(self) -> int:
        """Print the list."""
        from meta.training.trained import SHIPPED, shipped_policies
        from tasks.registry import FAMILIES, find_family, make_family

        if self.pictures is not None and self.family is None:
            raise ValueError("--pictures draws one family: name it with --family")
        check_can_be_written(self.pictures)
        if self.family is not None:
            check_family(self.family)
        names = list(FAMILIES) if self.family is None else [self.family]
        if self.pictures is not None:
            from pliant.views.task_sheet import draw_tasks

            draw_tasks(make_family(names[0]), self.pictures)
            print(self.pictures)
            return 0
        made = [find_family(name) for name in names]
        families = [_describe(family) for family in made]
        policies = [f"{SHIPPED}{name}" for name in shipped_policies()]
        if self.json:
            print(json.dumps({"families": families, "policies": policies}, indent=1))
            return 0
        if self.family is None:
            lines = list(_overview(families, policies))
            if len(lines) >= shutil.get_terminal_size().lines:
                lines = _overview(families, policies, cut=True)
        else:
            lines = _page(made[0])
        print("\n".join(lines))
        return 0


def _describe(family: "TaskFamily") -> dict[str, Any]:
    from tasks.manipulation.handling import HandlingFamily

    own = isinstance(family, HandlingFamily)
    return {
        "name": family.name,
        "group": _group(family),
        "summary": family.summary,
        "success": family.success,
        "splits": list(family.splits),
        "horizon": family.horizon,
        "observation": family.obs_dim,
        "action": family.action_dim,
        "agents": list(family.agents),
        "one_at_a_time": list(_one_at_a_time(family)),
        "parameters": [
            _parameter(p, family.splits)
            | {"scenery": p.hidden and p.name in family.scenery}
            for p in family.parameters
        ],
        "in_episode": family.in_episode,
        "handles": list(family.handles.lines()) if own else [],
    }


def _one_at_a_time(family: "TaskFamily") -> tuple[str, ...]:
    """Return the splits that leave the training range of a single parameter."""
    from tasks.splits import all_splits

    return all_splits(family.splits, family.parameters)[len(family.splits) :]


def _group(family: "TaskFamily") -> str:
    """Return the kind of a family: the folder that its module is in."""
    from tasks.external import ExternalFamily

    if isinstance(family, ExternalFamily):
        return "external"
    package, _, rest = type(family).__module__.partition(".")
    return rest.partition(".")[0] if package == "tasks" else "yours"


def _parameter(parameter: "Parameter", splits: tuple[str, ...]) -> dict[str, Any]:
    """Return a parameter's own fields, and what each split draws it from."""
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
                    if s == "unseen" and parameter.unseen
                    else parameter.options
                )
                for s in splits
            }
        case _:
            pass
    return row


def _overview(
    families: Sequence[dict[str, Any]], policies: Sequence[str], *, cut: bool = False
) -> Iterator[str]:
    """Yield each family, its group beside the first of one, and a legend.

    Args:
        families: as `_describe` returns them.
        policies: those that ship.
        cut: give each family one line, and cut summaries that need more.
    """
    width = shutil.get_terminal_size().columns
    yield f"{'':<14}{'family':<18}{'hidden':>6}{'splits':>8}"
    before = ""
    for family in families:
        hidden = sum(p["hidden"] for p in family["parameters"])
        mark = "*" if family["in_episode"] else ""
        counts = f"{hidden:>6}{mark:<1}{len(family['splits']):>7}"
        group = "" if family["group"] == before else family["group"]
        before = family["group"]
        room = max(20, width - _SUMMARY)
        summary = family["summary"]
        if cut:
            summary = textwrap.shorten(summary, room, placeholder=" ...")
        first, *more = _wrap(summary, room)
        yield f"{group:<14}{family['name']:<18}{counts}  {first}"
        yield from (f"{'':<{_SUMMARY}}{line}" for line in more)
    splits = list(dict.fromkeys(s for f in families for s in f["splits"]))
    name = families[0]["name"]
    yield from _wrap(
        "hidden: parameters of a task that a policy must adapt to (*: shown within "
        f"one episode). splits: where tasks are drawn from, of {', '.join(splits)}. "
        f"{len(policies)} trained policies ship; --family names those of a family.",
        width,
    )
    yield f"next: pliant list --family {name}, or pliant evaluate shipped:{name}"


def _page(family: "TaskFamily") -> Iterator[str]:
    """Yield everything about one family."""
    width, about = shutil.get_terminal_size().columns, _describe(family)
    yield from _wrap(f"{family.name}: {family.summary}", width)
    yield from _wrap(f"success: {family.success}", width, hang=9)
    if family.agents:
        yield f"a team: {', '.join(family.agents)}, each with what follows"
    yield (
        f"episode: {family.horizon} steps, {family.obs_dim} numbers observed, "
        f"{family.action_dim} in an action"
    )
    if family.in_episode:
        yield "what is hidden shows within an episode, to a policy that remembers it"
    for title, keys in _GROUPS.items():
        rows = [p for p in about["parameters"] if (p["hidden"], p["scenery"]) == keys]
        if rows:
            yield f"\n{title}:"
        for row in rows:
            yield from _ranges(row, width)
    if handles := about.get("handles"):
        yield "\nobjects of your own:"
        yield from _wrap("; ".join(handles), width, hang=6, indent=2)
    splits = f"splits: {', '.join(family.splits)}"
    yield ""
    yield from _wrap(splits, width, hang=8)
    if alone := ", ".join(about["one_at_a_time"]):
        yield from _wrap(f"one parameter at a time: {alone}", width, hang=8)
    if policies := list(_policies(family.name, width)):
        yield from ("\nshipped policies:", *policies)


def _ranges(row: dict[str, Any], width: int) -> Iterator[str]:
    """Yield a parameter with its range in training, and where another split differs."""
    ranges: dict[str, list[Any]] = row.get("ranges", {})
    train = ranges.get("train", [])
    unit = f" [{row['unit']}]" if row.get("unit") not in (None, "", "1") else ""
    texts = [f"{row['name']}{unit}: {_range(train)}"]
    texts += [
        f"{split} {_range(values)}"
        for split, values in ranges.items()
        if values != train and split != "held-out"
    ]
    yield from _wrap("; ".join(texts), width, hang=6, indent=2)


def _wrap(text: str, width: int, hang: int = 0, indent: int = 0) -> list[str]:
    """Break text between words only, for names have hyphens in them.

    Args:
        text: one paragraph.
        width: columns of a line.
        hang: columns to leave free before all lines but the first.
        indent: columns to leave free before the first line.
    """
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
    )


def _range(values: list[Any]) -> str:
    """Return options or intervals in words; of numbered names, the first and last."""
    texts = [v if isinstance(v, str) else f"{v[0]:g} to {v[1]:g}" for v in values]
    runs = [_numbered(text, place) for place, text in enumerate(texts)]
    shown: list[str] = []
    for _, run in itertools.groupby(zip(runs, texts, strict=True), lambda x: x[0]):
        names = [text for _, text in run]
        shown += names if len(names) < _MANY else [f"{names[0]} to {names[-1]}"]
    return ", ".join(shown)


def _numbered(name: str, place: int) -> tuple[str, int | None]:
    """Return what names that are numbered one after another have in common."""
    stem, _, number = name.rpartition("-")
    return (stem, place - int(number)) if number.isdecimal() else (name, None)


def _policies(family: str, width: int) -> Iterator[str]:
    """Yield a line for each method, with the names of its training seeds."""
    from meta.registry import METHODS
    from meta.training.trained import LARGE, SHIPPED, shipped_policies

    for method in (*METHODS, LARGE):
        names = shipped_policies(family, method)
        if not names:
            continue
        first, *others = sorted(names, key=len)
        more = [re.sub(rf"^{re.escape(first)}", "...", name) for name in others]
        text = f"{method:<17}{', '.join([f'{SHIPPED}{first}', *more])}"
        yield from _wrap(text, width, hang=19, indent=2)
