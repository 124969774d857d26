"""The table of an evaluation by object."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pliant.views.markdown import count, interval, markdown, one_seed
from pliant.views.names import name_of

_ENOUGH = 5
"""Tasks from which a cell of the table by object has an interval."""


def grid_table(
    cells: Iterable[Mapping[str, Any]],
    episodes: int,
    policies: Mapping[str, Sequence[object]],
) -> str:
    """Return returns by complexity and difficulty as a table.

    Args:
        cells: their JSON.
        episodes: number that the policy has adapted on.
        policies: by method, as in `Evaluation.policies`.
    """
    adapted = f"after {count(episodes, 'episode')}"
    cells, rows = list(cells), list[tuple[str, ...]]()
    methods = cells[0]["returns"] if cells else ()
    names = (adapted if n == "policy" else name_of(n) for n in methods)
    header = ("complexity", "difficulty", "objects", "tasks", *names)
    for cell in cells:
        ends = ("{:.2f} to {:.2f}".format(*cell[a]) for a in header[:2])
        returns = (
            interval(e, "", one_seed=one_seed(policies, name))
            if cell["tasks"] >= _ENOUGH
            else f"{e['value']:.2f}"
            for name, e in cell["returns"].items()
        )
        rows.append((*ends, ", ".join(cell["objects"]), f"{cell['tasks']}", *returns))
    return markdown(header, rows)
