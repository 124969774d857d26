"""Every family of one robot as an environment of Gymnasium.

    gymnasium.make("pliant.gym:pliant/Strike-v0", split="unseen")
    gymnasium.make_vec("pliant.gym:pliant/Strike-v0", num_envs=64)

After `import pliant.gym` the prefix can be left out. Teams are environments of
PettingZoo: `tasks.adapters.pettingzoo`.
"""

from collections.abc import Iterable

import gymnasium

from tasks.adapters.gym import TaskEnv
from tasks.adapters.vector import TaskVectorEnv
from tasks.registry import FAMILIES

__all__ = ["TaskEnv", "TaskVectorEnv", "register"]


def register(families: Iterable[str]) -> None:
    """Tell Gymnasium of families: `strike` is `pliant/Strike-v0`."""
    for name in families:
        title = "".join(part.capitalize() for part in name.split("-"))
        gymnasium.register(
            id=f"pliant/{title}-v0",
            entry_point="pliant.gym:TaskEnv",
            vector_entry_point="pliant.gym:TaskVectorEnv",
            kwargs={"family": name},
        )


register(name for name, kind in FAMILIES.items() if not kind.agents)
