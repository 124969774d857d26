"""Rows and worlds: in a team, a row is one agent in one world."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tasks.parameters import Choice
from tasks.task import Task

AGENT = "agent"
"""Name of the parameter that says which agent of its team a task is for."""


def agent_parameter(agents: Sequence[str]) -> Choice:
    """Return the parameter that tells the tasks of a team's agents apart.

    An agent may know which one it is: what it observes is the family's to say.
    """
    return Choice(name=AGENT, options=tuple(agents), hidden=False)


def of_agent(names: Iterable[str], agent: str) -> tuple[str, ...]:
    """Return the parameters that are one agent's own: those that end with its name."""
    return tuple(name for name in names if name.endswith(f"_{agent}"))


class Rows:
    """The places of a batch's rows: one a world, or one an agent of each world.

    A team's rows come in groups of one task and one agent, so that learners see agents
    as they see worlds; its worlds lie in the order of their first agent's rows.

    Args:
        agents: names of a team's agents; none if every world has one.
    """

    def __init__(self, agents: Sequence[str]) -> None:
        self._agents = tuple(agents)
        self._of: Int[Tensor, "world agent"] | None = None
        self._first: Tensor | None = None

    @property
    def team(self) -> int:
        """Rows of each world."""
        return max(1, len(self._agents))

    def worlds(self, rows: int) -> int:
        """Return how many worlds so many rows are.

        Raises:
            ValueError: for rows that are no whole teams.
        """
        if rows % self.team:
            raise ValueError(
                f"a world has {self.team} agents ({', '.join(self._agents)}), each a "
                f"row: rows come in multiples of {self.team}, got {rows}"
            )
        return rows // self.team

    def arrange(
        self,
        tasks: Sequence[Task],
        device: torch.device | str = "cpu",
        *,
        again: bool = False,
    ) -> None:
        """Find which rows share a world.

        Args:
            tasks: one a row; the i-th rows of all agents share the i-th world.
            device: where indices live.
            again: whether rows must stay where they were.

        Raises:
            ValueError: unless each agent has equally many rows, of the same tasks in
                the same order.
        """
        if self.team == 1:
            return
        found = [
            [i for i, task in enumerate(tasks) if task.parameters[AGENT] == agent]
            for agent in self._agents
        ]
        counts = [len(rows) for rows in found]
        if len(set(counts)) > 1:
            listed = zip(self._agents, counts, strict=True)
            raise ValueError(
                "the agents of a team need equally many rows; got "
                + ", ".join(f"{count} of {agent}" for agent, count in listed)
            )
        for rows in zip(*found, strict=True):
            if len({_shared(tasks[row]) for row in rows}) > 1:
                raise ValueError(
                    f"rows {', '.join(map(str, rows))} share a world, and their tasks "
                    f"differ in more than {AGENT}: give every agent of a team the same "
                    "tasks in the same order"
                )
        of = torch.tensor(found, device=device).T
        if again and self._of is not None and not torch.equal(of, self._of):
            raise ValueError("the rows of some worlds keep the agents that they had")
        self._of, self._first = of, torch.tensor(found[0])

    def chosen(self, rows: Int[Tensor, "n"]) -> Int[Tensor, "m"]:
        """Return the worlds of some rows, ascending.

        Raises:
            ValueError: for rows of a world whose other agents' are not among them.
        """
        if self._of is None:
            return rows
        inside = torch.isin(self._of, rows)
        if (inside.any(1) != inside.all(1)).any():
            raise ValueError(
                "the agents of a team begin together: give the rows of all of a "
                f"world's agents; got rows {', '.join(map(str, rows.tolist()))}"
            )
        return inside[:, 0].nonzero()[:, 0]

    def first(self, rows: Shaped[Tensor, "row ..."]) -> Shaped[Tensor, "world ..."]:
        """Return what each world's first agent has, of rows on the CPU."""
        return rows if self._first is None else rows[self._first]

    def by_world(self, rows: Shaped[Tensor, "row ..."]) -> Shaped[Tensor, "world ..."]:
        """Lay rows out by world: (world, agent, ...), or as they are without a team."""
        return rows if self._of is None else rows[self._of]

    def of_each(self, worlds: Shaped[Tensor, "world ..."]) -> Shaped[Tensor, "row ..."]:
        """Lay out by row what worlds have for all of their agents, or for each."""
        if self._of is None:
            return worlds
        if worlds.ndim == 1:
            worlds = worlds[:, None].expand(-1, self.team)
        placed = torch.empty_like(worlds.flatten(0, 1))
        placed[self._of.flatten()] = worlds.flatten(0, 1)
        return placed


def _shared(task: Task) -> tuple[object, ...]:
    """Return what the tasks of a team's agents have in common."""
    own = {k: v for k, v in task.parameters.items() if k != AGENT}
    return task.family, tuple(sorted(own.items()))
