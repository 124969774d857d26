"""Settings of MAML-PPO."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from meta.bounds import check_bounds
from meta.objectives.policy_gradient import InnerLoss

InnerBaseline = Literal["task", "pooled"]
OuterBaseline = Literal["task", "network"]
Critic = Literal["own", "all"]
MAX_INNER_STEPS, MAX_EPOCHS, MAX_WINDOW = 100, 10_000, 1000
"""More are a slip of the keyboard, and would never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MamlCfg:
    """Settings of adaptation and of meta-training."""

    inner_steps: int = 1
    """Gradient steps of adaptation; 0 is PPO, of methods that do not adapt."""
    inner_rate: float = 0.1
    """Step size, the initial one if it is learned."""
    learn_rates: bool = True
    """Learn a step size for each parameter; otherwise all keep the initial one."""
    inner_loss: InnerLoss = "ratio"
    """The loss that adaptation descends; they differ in their second derivatives."""
    first_order: bool = False
    """Drop the second derivatives (FOMAML)."""
    learned_advantage: bool = False
    """Adapt by learned weights of the steps instead of estimated advantages alone."""
    weighed_summary: bool = False
    """Let each step say how much it counts in the mean over all steps that the learned
    advantage reads; otherwise all count alike. Refused without one."""
    inner_baseline: InnerBaseline = "task"
    """`task`: fitted to the adapting episodes themselves. `pooled`: fitted to all tasks
    of the iteration before, part of what is learned; for few episodes."""
    outer_baseline: OuterBaseline = "task"
    """Baseline that advantages are taken over in training. `task`: linear, fitted to
    each task's own few episodes. `network`: a critic that learns over all iterations.
    `critic` says whose observations it reads."""
    critic: Critic = "own"
    """Observations that the baseline of training is fitted to, in a team: the agent's
    `own`, as in IPPO, or those of `all` agents of its world, as in MAPPO (Yu et al.
    2022, arXiv 2103.01955). Agents adapt and act by their own all the same;
    refused where there is one robot."""
    adapt_episodes: tuple[int, ...] = ()
    """Numbers of episodes to adapt on, one drawn per task; empty: all collected."""
    rate: float = 1e-3
    """Step size of Adam at the first iteration; it falls linearly to 0 at the last."""
    epochs: int = 5
    """Steps of Adam on the experience of an iteration, at most."""
    clip: float = 0.3
    """PPO's: how far the ratio of the outer loss may leave 1."""
    inner_kl: float = 5e-4
    """Weight of the penalty on leaving the policy that collected the inner data."""
    unadapted: float = 0.0
    """Weight of the unadapted policy's own PPO loss beside that of the adapted ones;
    of no effect without inner steps, where they are the same."""
    max_kl: float = 0.05
    """An iteration's epochs end, before the next step, once the adapted policies have
    moved this far."""
    max_grad_norm: float = 1.0
    """Longer meta-gradients are shortened to it."""
    window: int = 0
    """Steps of the episode so far that the policy reads beside its observation."""
    warm_up: float = 0.0
    """Share of the iterations, the first, in which it is PPO over all tasks: the policy
    acts well before it learns to adapt."""
    discount: float = 0.99
    """Per step."""
    trace: float = 1.0
    """lambda of generalised advantage estimation."""

    def __post_init__(self) -> None:
        """Refuse counts, rates and names that cannot work."""
        check_bounds(
            self,
            f"0 <= inner_steps <= {MAX_INNER_STEPS}",
            f"0 <= window <= {MAX_WINDOW:,}",
            f"1 <= epochs <= {MAX_EPOCHS:,}",
            *("0 < discount <= 1", "0 <= trace <= 1", "0 <= warm_up < 1", "clip > 0"),
            *("inner_rate >= 0", "inner_kl >= 0", "unadapted >= 0"),
            *("rate > 0", "max_grad_norm > 0"),
        )
        if min(self.adapt_episodes, default=1) < 1:
            raise ValueError(
                f"need adapt_episodes of at least 1 each, got {self.adapt_episodes}"
            )
        named = {
            "inner_loss": InnerLoss,
            "inner_baseline": InnerBaseline,
            "outer_baseline": OuterBaseline,
            "critic": Critic,
        }
        for name, kinds in named.items():
            if getattr(self, name) not in get_args(kinds):
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; known: "
                    f"{', '.join(get_args(kinds))}"
                )
        if self.first_order and self.learned_advantage:
            raise ValueError(
                "a learned advantage is learned through the second derivatives that "
                "first_order drops"
            )
        if self.weighed_summary and not self.learned_advantage:
            raise ValueError(
                "weighed_summary weighs what a learned advantage reads, and there is "
                "none: give --no-weighed-summary, too, or --learned-advantage"
            )

    def without_adaptation(self) -> "MamlCfg":
        """Return the settings of the same policy as it acts before it adapts."""
        return replace(
            self, inner_steps=0, learned_advantage=False, weighed_summary=False
        )
