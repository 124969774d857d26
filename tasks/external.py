"""Families in external simulators: any vector environment of Gymnasium.

A family is a class that makes its worlds and gives them their tasks, and is named by
its module and class: `pliant train mymodule:Point`.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from tasks.contract import (
    Step,
    TaskFamily,
    check_tasks,
    observation_size,
    sound,
)
from tasks.parameters import SPLITS, Value
from tasks.rows import Rows
from tasks.spaces import Spaces, Vector, autoreset_mode
from tasks.task import Task

_SUCCESS = ("is_success", "success")


class ExternalFamily(TaskFamily):
    """A distribution of tasks in a vector environment of Gymnasium, on the CPU.

    Subclasses state `horizon`, `obs_dim`, `action_dim` and `parameters`, `discrete` if
    actions are choices, and the two methods; where a benchmark fixes its tasks, they
    override `sample` too.

    Raises:
        ValueError: for another device, or a class that does not state all of it or has
            nothing to hide.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS[:2]
    success: ClassVar[str] = "what the environment's info calls success"

    def __init_subclass__(cls) -> None:
        """Name the family by its module and class, by which it is found again."""
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = f"{cls.__module__}:{cls.__qualname__}"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        if self.device.type != "cpu":
            raise ValueError(
                f"family {self.name} runs on device cpu, not {device}: a GPU needs a "
                "family of Pliant's own"
            )
        if not self.hidden:
            raise ValueError(f"family {self.name} has no hidden parameter to adapt to")

    @abstractmethod
    def make(self, worlds: int) -> Vector:
        """Make a vector environment of that many worlds.

        Its actions are a bounded `Box`, which actions in [-1, 1] are stretched to, or,
        if the family states `discrete`, `Discrete`. Its observations are of any space
        that Gymnasium flattens, `Box` or `Dict`, to `obs_dim` numbers. Success is what
        its info says under `is_success` or `success`; without either no episode
        succeeds.
        """

    @abstractmethod
    def set_tasks(
        self,
        envs: Vector,
        worlds: Sequence[int],
        tasks: Sequence[Mapping[str, Value]],
    ) -> None:
        """Give worlds, by index, their tasks: the parameters of each by name.

        They hold from the next reset on, and until they are set again.
        """


class _Transition(NamedTuple):
    """The vector environment's answer to a step, within the episode under way."""

    obs: Float[Tensor, "world obs"]
    reward: Float[Tensor, "world"]
    terminated: Bool[Tensor, "world"]
    truncated: Bool[Tensor, "world"]
    success: Bool[Tensor, "world"]


class ExternalEnv:
    """W worlds of an external family, with the contract of `Env`.

    An episode ends once, and then stays as it was, whatever the vector environment
    does with its world until the next reset. An action, observation or reward that is
    not finite, or one beyond the family's bound, is a fault: the episode ends with the
    observation before, and that step is worth nothing.

    Args:
        family: the family.
        worlds: number of worlds W.
        oracle: whether observations end with the hidden parameters.

    Raises:
        ValueError: for another number of worlds, spaces that are not of the stated
            sizes (see `Spaces`), or an unknown autoreset mode.
    """

    def __init__(
        self, family: ExternalFamily, *, worlds: int, oracle: bool = False
    ) -> None:
        self.family = family
        self.worlds = worlds
        self.oracle = oracle
        self.obs_dim = observation_size(family, oracle=oracle)
        self.action_dim = family.action_dim
        self.horizon = family.horizon
        self.device = family.device
        self.tasks: tuple[Task, ...] = ()
        self._rows = Rows(family.agents)
        self._rows.worlds(worlds)  # refuses a number that is no whole number of teams
        self.envs = family.make(worlds)
        if not hasattr(self.envs, "num_envs"):
            raise ValueError(
                f"family {family.name} made a {type(self.envs).__name__}, which is no "
                "vector environment: make returns one, such as "
                "gymnasium.vector.SyncVectorEnv([make_one] * worlds)"
            )
        if self.envs.num_envs != worlds:
            raise ValueError(
                f"family {family.name} made {self.envs.num_envs} worlds, not {worlds}"
            )
        self._spaces = Spaces(family, self.envs)
        self.mode = autoreset_mode(family, self.envs)
        self._revealed = torch.zeros(worlds, self.obs_dim - family.obs_dim)
        self._obs = torch.zeros(worlds, family.obs_dim)
        self._steps = torch.zeros(worlds)
        self._terminated, self._truncated, self._fault, self._success = (
            torch.zeros(worlds, dtype=torch.bool) for _ in range(4)
        )
        self._started = False
        self.renders = self.envs.render_mode == "rgb_array"
        """True if its worlds can be drawn."""
        # worlds that the vector environment may not step before they are reset
        self._due = np.zeros(worlds, dtype=np.bool_)

    def assign(
        self, tasks: Sequence[Task], worlds: Int[Tensor, "n"] | None = None
    ) -> None:
        """Give some worlds (all by default) their tasks, for the episodes to come.

        Raises:
            ValueError, RuntimeError: as `Env.assign`.
        """
        check_tasks(self, tasks, worlds)
        chosen = list(range(self.worlds)) if worlds is None else worlds.tolist()
        given = dict(zip(chosen, tasks, strict=True))
        every = tuple(
            given[w] if w in given else self.tasks[w] for w in range(self.worlds)
        )
        self._rows.arrange(every, again=worlds is not None)
        if worlds is not None:
            self._rows.chosen(worlds)  # refuses a part of a team
        self.family.set_tasks(self.envs, chosen, [task.parameters for task in tasks])
        self.tasks = every
        if self.oracle:
            values = self.family.values(tasks)
            self._revealed[chosen] = self.family.reveal(values)

    def reset(
        self, rng: torch.Generator, worlds: Int[Tensor, "n"] | None = None
    ) -> Float[Tensor, "world obs"]:
        """Start a new episode in some worlds (all by default), from a drawn seed.

        Raises:
            ValueError: for some worlds only, unless the autoreset mode is DISABLED.
        """
        if not self.tasks:
            raise RuntimeError("the worlds have no tasks yet: call assign first")
        seed = int(torch.randint(2**31, (), generator=rng))
        new = torch.ones(self.worlds, dtype=torch.bool)
        if worlds is not None:
            self._rows.chosen(worlds)
            new = torch.zeros_like(new).index_fill(0, worlds, True)
        if new.all():
            obs, _ = self.envs.reset(seed=seed)
        elif self.mode is AutoresetMode.DISABLED:
            obs, _ = self.envs.reset(seed=seed, options={"reset_mask": new.numpy()})
        else:
            raise ValueError(
                f"some worlds alone are reset in autoreset mode DISABLED only; family "
                f"{self.family.name} has {self.mode.name}"
            )
        rows = self._spaces.rows(obs)
        finite = sound(self.family, rows)
        rows = torch.where(finite[:, None], rows, 0.0)
        self._obs = torch.where(new[:, None], rows, self._obs)
        self._steps = torch.where(new, 0.0, self._steps)
        self._fault = torch.where(new, ~finite, self._fault)
        self._terminated = torch.where(new, ~finite, self._terminated)
        self._truncated = self._truncated & ~new
        self._success = self._success & ~new
        self._due = self._due & ~new.numpy()
        self._started = True
        return self._observed()

    def step(self, action: Float[Tensor, "world action"]) -> Step:
        """Take one step in every world; episodes that ended stay as they are."""
        if not self._started:
            raise RuntimeError("the worlds have no state yet: call reset first")
        going = ~(self._terminated | self._truncated)
        sane = action.isfinite().all(-1)
        action = torch.where(sane[:, None], action.clamp(-1.0, 1.0), 0.0)
        seen = self._advance(action)
        fine = going & sane & sound(self.family, seen.obs, seen.reward)
        fault = going & ~fine
        self._steps = self._steps + going.float()
        self._obs = torch.where(fine[:, None], seen.obs, self._obs)
        self._due = self._due | fault.numpy()
        self._fault = self._fault | fault
        self._terminated = self._terminated | fault | (going & seen.terminated)
        over = seen.truncated | (self._steps >= self.horizon)
        self._truncated = self._truncated | (going & over)
        self._success = torch.where(going, seen.success & fine, self._success)
        return Step(
            obs=self._observed(),
            reward=torch.where(fine, seen.reward, 0.0),
            terminated=self._terminated,
            truncated=self._truncated,
            fault=self._fault,
            success=self._success,
            terms={},
        )

    def frames(self) -> list[NDArray[np.uint8]]:
        """Draw every world, as the vector environment does.

        Raises:
            ValueError: if it does not.
        """
        drawn: Any = self.envs.render() if self.renders else None
        if drawn is None or len(drawn) != self.worlds:
            raise ValueError(
                f"family {self.family.name} is not drawn: its vector environment needs "
                "render_mode='rgb_array' and a picture of each world"
            )
        return [np.asarray(frame, np.uint8) for frame in drawn]

    def _advance(self, action: Float[Tensor, "world action"]) -> _Transition:
        """Step the vector environment, whatever it does where an episode ends."""
        disabled = self.mode is AutoresetMode.DISABLED
        if disabled and self._due.any():
            # these episodes are over for us, but all worlds are stepped or none
            self.envs.reset(options={"reset_mask": self._due})
        taken = self._spaces.actions(action)
        obs, reward, terminated, truncated, info = self.envs.step(taken)
        rows, success = self._spaces.rows(obs), self._succeeded(info)
        self._due = np.array(terminated, np.bool_) | np.array(truncated, np.bool_)
        ended = self._due.nonzero()[0]
        if self.mode is AutoresetMode.SAME_STEP and len(ended):
            # the returned observation is the next episode's; the last one is kept apart
            if "final_obs" not in info:
                raise ValueError(
                    f"family {self.family.name} ended an episode in autoreset mode "
                    "SAME_STEP without info['final_obs']: its last observation is lost"
                )
            last = [self._spaces.row(info["final_obs"][w]) for w in ended]
            rows[ended] = torch.stack(last)
            final = self._succeeded(info.get("final_info", info))
            success[ended] = final[ended]
        return _Transition(
            obs=rows,
            reward=torch.from_numpy(np.array(reward)).float(),
            terminated=torch.from_numpy(np.array(terminated, np.bool_)),
            truncated=torch.from_numpy(np.array(truncated, np.bool_)),
            success=success,
        )

    def _succeeded(self, info: Mapping[str, Any]) -> Bool[Tensor, "world"]:
        found = [info[name] for name in _SUCCESS if name in info]
        flags = found[0] if found else np.zeros(self.worlds)
        # NaN, and None of a world that says nothing, are no success
        return torch.from_numpy(np.nan_to_num(np.array(flags, np.float64)) != 0)

    def _observed(self) -> Float[Tensor, "world obs"]:
        return torch.cat([self._obs, self._revealed], dim=-1)
