"""MPE's simple spread as a team family: three agents whose thrust is unlike.

A public environment of PettingZoo, in which three agents share the reward of covering
three landmarks. Hidden from all of them is how hard each is pushed by its own command,
and the drag, which are the same in the published task:

    pip install 'pliant[teams]' mpe2
    pliant train examples.spread:Spread --method dr-memory
    pliant train examples.spread:Spread --method explore
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from mpe2 import simple_spread_v3

from tasks.adapters.parallel_family import Game, ParallelFamily
from tasks.parameters import Scalar, Value
from tasks.rows import agent_parameter

AGENTS = ("agent_0", "agent_1", "agent_2")


class Spread(ParallelFamily):
    """Cover three landmarks with agents of unlike thrust."""

    agents: ClassVar[tuple[str, ...]] = AGENTS
    horizon = 25
    obs_dim = 18
    action_dim = 5
    parameters = (
        agent_parameter(AGENTS),
        *(
            Scalar(name=f"thrust_{i}", unit="m/s^2", low=1.0, high=9.0)
            for i in range(len(AGENTS))
        ),
        Scalar(name="damping", unit="1", low=0.1, high=0.5),
    )

    def make_game(self) -> Game:
        """Three agents, as published, of whom each is rewarded with the others."""
        game: Any = simple_spread_v3.parallel_env(
            N=3, local_ratio=0.0, max_cycles=self.horizon, continuous_actions=True
        )
        return game

    def set_task(self, game: Game, parameters: Mapping[str, Value]) -> None:
        """Give every agent its thrust, and the world its drag."""
        world: Any = game.unwrapped.world
        world.damping = float(parameters["damping"])
        for i, agent in enumerate(world.agents):
            agent.accel = float(parameters[f"thrust_{i}"])
