"""The command `pliant list`: families with what they hide, and shipped policies."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.family import Family
    from tasks.parameters import Parameter


@dataclass(frozen=True, kw_only=True)
class List:
    """Show the task families, their parameters and ranges, and the shipped policies.

    Example: pliant list --family push --pictures push.png
    """

    json: bool = False
    """Print JSON."""
    family: str | None = None
    """Only this family."""
    pictures: Path | None = None
    """With --family: draw how tasks of each of its splits begin, into this file."""

    def run(self) -> int:
        """Print the list."""
        from meta.training.trained import SHIPPED, shipped_policies
        from tasks.registry import FAMILIES, make_family

        names = list(FAMILIES) if self.family is None else [self.family]
        made = [make_family(name) for name in names]
        if self.pictures is not None:
            self._draw(made, self.pictures)
            return 0
        families = [_describe(family) for family in made]
        policies = [f"{SHIPPED}{name}" for name in shipped_policies()]
        if self.json:
            print(json.dumps({"families": families, "policies": policies}, indent=1))
            return 0
        for family in families:
            _show(family)
        print(f"shipped policies: {', '.join(policies) or 'none'}")
        return 0

    def _draw(self, families: "Sequence[Family]", path: Path) -> None:
        from pliant.views.task_sheet import draw_tasks

        if self.family is None:
            raise ValueError("--pictures draws one family: name it with --family")
        draw_tasks(families[0], path)
        print(path)


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
                    if s == "unseen" and parameter.unseen
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
