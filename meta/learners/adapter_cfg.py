"""Settings that every adapter has."""

from typing import Protocol, runtime_checkable

from meta.learners.maml_cfg import MamlCfg


@runtime_checkable
class AdapterCfg(Protocol):
    """The settings of an adapter."""

    @property
    def ppo(self) -> MamlCfg:
        """PPO's settings, for every policy that learns beside the adapter."""
        ...

    @property
    def own_moments(self) -> bool:
        """True to scale what it reads by moments of its own experience."""
        ...

    @property
    def averaging(self) -> float:
        """Share that an iteration keeps of the average of its weights."""
        ...

    @property
    def forgets(self) -> bool:
        """True to infer within the episode under way alone."""
        ...

    @property
    def weighs(self) -> bool:
        """True to weigh steps and episodes, which otherwise all count alike."""
        ...

    @property
    def regression_epochs(self) -> int:
        """Steps of Adam on the experience of an iteration."""
        ...
