"""Experience as the losses read it: scaled features and advantages."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meta.experience import returns
from meta.experience.moments import fresh_moments, standardised, update_moments
from meta.experience.rollout import Experience
from meta.experience.window import windows
from meta.machine.distributed import summed
from meta.theta import Theta
from policies.distribution import Distribution

Values = Callable[[Float[Tensor, "*batch read"]], Float[Tensor, "*batch"]]
"""Says what steps are worth, of what `critic_reads` returns."""
_LEAST_LEFT = 0.03
"""Lower bound on the pooled baseline's residual, as a share of the returns' spread."""
_CACHED_STEPS = 20_000
"""Steps of experience worked on at once on a CPU; 1.1 to 1.2 times faster than 80,000
with two hidden layers of 64."""


class Batch(NamedTuple):
    """Experience as the losses read it; leads with tasks until mapped over them."""

    obs: Float[Tensor, "*task episode time obs"]
    """Normalised, and the window if there is one."""
    change: Float[Tensor, "*task episode time features"]
    """Normalised change of the observation, and reward."""
    action: Float[Tensor, "*task episode time action"]
    old: Distribution
    old_log_prob: Float[Tensor, "*task episode time"]
    advantage: Float[Tensor, "*task episode time"]
    valid: Float[Tensor, "*task episode time"]


def at_once(batch: Batch) -> int | None:
    """Return how many tasks to work on at once: on a CPU as many as its cache holds."""
    if batch.valid.device.type != "cpu":
        return None
    return max(1, _CACHED_STEPS // batch.valid[0].numel())


def make_batch(
    theta: Theta,
    e: Experience,
    discount: float,
    trace: float,
    *,
    pooled: bool = False,
    window: int = 0,
    central: bool = False,
    critic: Values | None = None,
) -> Batch:
    """Scale experience by the moments in theta, and estimate advantages.

    Args:
        theta: holds the moments and the pooled baseline.
        e: experience.
        discount: per step.
        trace: lambda of generalised advantage estimation.
        pooled: take the baseline that `refresh_scales` fitted to all tasks, and scale
            by its residual, so that a task's worth stays in the advantage; otherwise
            fit a baseline to each task and standardise within the task.
        window: steps before each that the observations end with.
        central: fit a baseline to all tasks first that reads what the other agents
            observed, too, if the experience tells; each task's is fitted to what that
            leaves. It reads no action of the step, which would bias the gradient.
        critic: says what a step is worth, and each task is fitted by a square of time
            alone to what that leaves: a fit to all that is observed would take off,
            with the few episodes of a task, much of what its actions earned.
    """
    scaled = standardised(theta, _features(e))
    obs, change = scaled.tensor_split((e.obs.shape[-1],), dim=-1)
    x = returns.features(obs)
    if window:
        before = windows(change, e.action, e.valid, window)
        obs = torch.cat([obs, before], dim=-1)
    if pooled:
        value = x.double() @ theta["baseline/weights"]
    elif critic:
        value = critic(critic_reads(obs, e, central=central))
        value = value + _fit_left(_clock_powers(obs), e, discount, value)
    else:
        value = _fit_shared(obs, e, discount, central=central, windowed=window > 0)
        value = value + _fit_left(x, e, discount, value)
    value = value.to(e.reward.dtype)
    advantage = returns.gae(e.reward, value, e.valid, discount, trace)
    if pooled:
        advantage = advantage * e.valid / theta["baseline/scale"].to(x.dtype)
    else:
        advantage = returns.standardise(advantage, e.valid)
    return Batch(
        obs=obs,
        change=change,
        action=e.action,
        old=e.old,
        old_log_prob=e.old.log_prob(e.action),
        advantage=advantage,
        valid=e.valid,
    )


def critic_reads(
    obs: Float[Tensor, "task episode time obs"], e: Experience, *, central: bool
) -> Float[Tensor, "task episode time read"]:
    """Return what a critic reads: a batch's observations, the others', and the time.

    Args:
        obs: observations of the batch, as it has them.
        e: the experience that it is of.
        central: read what the other agents observed, too, if the experience tells.
    """
    others = _scaled_others(e) if central else []
    return torch.cat([obs, *others, _clock(obs)], dim=-1)


def limit_episodes(e: Experience, counts: Int[Tensor, "task"]) -> Experience:
    """Experience in which each task has only its first `counts` episodes."""
    index = torch.arange(e.valid.shape[1], device=e.valid.device)
    keep = (index < counts[:, None]).to(e.valid.dtype)
    return e._replace(valid=e.valid * keep[..., None])


def fresh_scales(obs_dim: int) -> Theta:
    """Moments and pooled baseline before any data."""
    return fresh_moments(2 * obs_dim + 1) | {
        "baseline/weights": torch.zeros(2 * obs_dim + 4, dtype=torch.float64),
        # standard deviation of what the baseline leaves unexplained
        "baseline/scale": torch.ones((), dtype=torch.float64),
    }


def refresh_scales(theta: Theta, e: Experience, discount: float) -> None:
    """Bring moments and pooled baseline up to date with unadapted experience."""
    update_moments(theta, _features(e)[e.valid > 0])
    x = returns.features(standardised(theta, e.obs)).flatten(0, -2)
    target = returns.discounted(e.reward, e.valid, discount).flatten()
    valid = e.valid.flatten()
    weights = returns.fit_ridge(x, target, valid, everywhere=True)
    left = _spread(target.double() - x.double() @ weights, valid)
    theta["baseline/weights"].copy_(weights)
    # a fit to fewer samples than weights leaves nothing here, and much elsewhere
    least = (_LEAST_LEFT * _spread(target.double(), valid)).clamp(min=1e-6)
    theta["baseline/scale"].copy_(left.maximum(least))


def _spread(
    x: Float[Tensor, "sample"], valid: Float[Tensor, "sample"]
) -> Float[Tensor, ""]:
    """Standard deviation of every process's valid samples."""
    count = summed(valid.double().sum()).clamp(min=1)
    mean = summed((x * valid).sum()) / count
    # one sample has no spread
    left = (count - 1).clamp(min=1)
    return (summed(((x - mean) * valid).square().sum()) / left).sqrt()


def _features(e: Experience) -> Float[Tensor, "task episode time features"]:
    """Observation, its change over the step, and the reward."""
    return torch.cat([e.obs, e.next_obs - e.obs, e.reward[..., None]], dim=-1)


def _clock(
    obs: Float[Tensor, "*batch time obs"],
) -> Float[Tensor, "*batch time 1"]:
    """Return the share of the longest episode that has gone by."""
    steps = torch.arange(obs.shape[-2], device=obs.device, dtype=obs.dtype)
    return (steps / obs.shape[-2])[:, None].expand(*obs.shape[:-1], 1)


def _clock_powers(
    obs: Float[Tensor, "*batch time obs"],
) -> Float[Tensor, "*batch time 3"]:
    t = _clock(obs)
    return torch.cat([torch.ones_like(t), t, t**2], dim=-1)


def _scaled_others(e: Experience) -> list[Float[Tensor, "task episode time others"]]:
    """Return what the others observed, if it is told, by its own moments.

    Those of the agent's observations may be a role's own.
    """
    if e.others is None:
        return []
    moments = fresh_moments(e.others.shape[-1])
    moments = {k: v.to(e.others.device) for k, v in moments.items()}
    update_moments(moments, e.others[e.valid > 0])
    return [standardised(moments, e.others)]


def _fit_shared(
    obs: Float[Tensor, "task episode time obs"],
    e: Experience,
    discount: float,
    *,
    central: bool,
    windowed: bool,
) -> Float[Tensor, "task episode time"]:
    """Fit the returns of all tasks together, to more features than one task bears.

    Observations with no window and nothing of other agents are few: then it is 0.
    """
    others = _scaled_others(e) if central else []
    if not (windowed or others):
        return torch.zeros_like(e.reward, dtype=torch.float64)
    x = returns.features(torch.cat([obs, *others], dim=-1))
    target = returns.discounted(e.reward, e.valid, discount)
    flat = x.flatten(0, -2), target.flatten(), e.valid.flatten()
    return x.double() @ returns.fit_ridge(*flat, everywhere=True)


def _fit_left(
    x: Float[Tensor, "task episode time features"],
    e: Experience,
    discount: float,
    value: Float[Tensor, "task episode time"],
) -> Float[Tensor, "task episode time"]:
    """Fit, for each task by itself, what a value leaves of its returns."""
    target = returns.discounted(e.reward, e.valid, discount)
    left = (target - value).flatten(1)
    weights = returns.fit_ridge(x.flatten(1, 2), left, e.valid.flatten(1))
    own = x.double().flatten(1, 2) @ weights[..., None]
    return own[..., 0].unflatten(1, target.shape[1:])
