"""Evidence fitted to a policy by living with training tasks; see `meta.language`.

Only training tasks are lived with. The relation of inference to truth is fitted to half
of them, and the factors of the standard deviations to the other half.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from meta.experience.rollout import Experience, by_task, collect, some_episodes
from meta.language.belief import WITHIN_90
from meta.language.evidence import Evidence, options_of
from meta.learners.rma import transitions
from meta.learners.told import adapter_of
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator, derived_seed
from meta.training.trained import Trained
from policies.acting import Act
from tasks.contract import TaskFamily
from tasks.objects.object_set import Objects
from tasks.parameters import Choice, Parameter
from tasks.registry import find_family, make_env
from tasks.task import Task

TASKS, IMAGINED = 300, 2048
"""Training tasks that are lived with, and imagined ones."""
EPISODES = (1, 2, 3, 5)
"""Numbers of adapting episodes, beside every step of the first episode."""
_RIDGE, _FLOOR = 1e-3, 1e-4
_MOST = 4.0
"""Greatest factor on a standard deviation; then it is added to instead."""
_EXPONENTS = tuple(round(1 - 0.1 * i, 1) for i in range(10))


def fit_evidence(
    policy: Trained,
    *,
    tasks: int = TASKS,
    imagined: int = IMAGINED,
    seed: int = 0,
    threads: int = 0,
    objects: Objects | None = None,
) -> Evidence:
    """Fit how a policy's inferences depend on the hidden parameters.

    Args:
        policy: RMA, system identification, or RMA with an explorer.
        tasks: training tasks to live with; of a team, worlds of all agents.
        imagined: training tasks to imagine.
        seed: decides the tasks and the episodes.
        threads: simulator threads; 0 means one per CPU.
        objects: objects that the tasks are about, instead of the family's own.

    Raises:
        ValueError: for a policy that infers no latent.
    """
    adapter_of(policy.learner)  # refuses a policy that has none
    family = find_family(policy.cfg.family, policy.device, objects)
    team = family.team
    drawn = family.sample("train", derived_seed(seed, 1), tasks * team)
    numbers, latents = known(policy, family, drawn)
    steps, inferred = lived(policy, family, drawn, seed, threads)
    more = family.sample("train", derived_seed(seed, 2), imagined * team)
    those, theirs = known(policy, family, more)
    agents = [
        _of_agent(
            policy,
            family,
            steps,
            [x[i::team] for x in inferred],
            (numbers[i::team], latents[i::team]),
            (those[i::team], theirs[i::team]),
        )
        for i in range(team)
    ]
    return replace(agents[0], mates=tuple(agents[1:]))


def known(
    policy: Trained, family: TaskFamily, tasks: Sequence[Task]
) -> tuple[Float[Tensor, "task parameter"], Float[Tensor, "task latent"]]:
    """Return the hidden parameters of tasks, and the policy's true latents of them."""
    values = family.values(tasks)
    hidden = family.reveal(values)
    obs = torch.cat([torch.zeros(len(tasks), family.obs_dim), hidden], dim=-1)
    with torch.no_grad():
        latents = adapter_of(policy.learner).encode(policy.theta, obs)
    return torch.stack([values[p.name] for p in family.hidden], dim=-1), latents


def lived(
    policy: Trained,
    family: TaskFamily,
    tasks: Sequence[Task],
    seed: int,
    threads: int = 0,
    episodes: Sequence[int] = EPISODES,
) -> tuple[list[int], list[Float[Tensor, "task latent"]]]:
    """Return what a policy infers of tasks, by the number of steps.

    After every step of a first episode that it acts in, and after episodes that it
    explores in.
    """
    adapter, theta = adapter_of(policy.learner), policy.theta
    most = max(episodes)
    size = family.team * max(1, family.max_worlds // most // family.team)
    rows: list[list[Tensor]] = []
    steps: list[int] = []
    for start in range(0, len(tasks), size):
        part = tasks[start : start + size]
        begun = policy.begin(len(part))
        rng = derived_generator(seed, 3, start)
        with simulator_threads(), torch.no_grad():
            acted = _run(family, part, 1, threads, begun.act, rng, explore=False)
            explored = _run(family, part, most, threads, begun.explore, rng)
            within = adapter.summarise(theta, transitions(acted))[:, 0].cumsum(1)
            none = adapter.begin(theta, len(part))["memory"]
            memories = [none, *adapter.history.add(none[:, None], within).unbind(1)]
            for k in episodes:
                kept = some_episodes(explored, slice(k))
                memories.append(begun.after(kept).adaptation["memory"])
            rows.append([adapter.infer(theta, m) for m in memories])
        # of a horizon that all episodes reach: shorter ones have told as much by then
        steps = [*range(family.horizon + 1), *(k * family.horizon for k in episodes)]
    inferred = [torch.cat(parts) for parts in zip(*rows, strict=True)]
    # an episode explored takes the place of one that was acted in
    kept = {n: i for i, n in enumerate(steps)}
    return list(kept), [inferred[i] for i in kept.values()]


def _of_agent(
    policy: Trained,
    family: TaskFamily,
    steps: Sequence[int],
    inferred: Sequence[Float[Tensor, "task latent"]],
    true: tuple[Float[Tensor, "task parameter"], Float[Tensor, "task latent"]],
    imagined: tuple[
        Float[Tensor, "imagined parameter"], Float[Tensor, "imagined latent"]
    ],
) -> Evidence:
    """Return the evidence of one agent, or of the only robot.

    Args:
        policy: the policy.
        family: its family.
        steps: numbers of steps.
        inferred: what it infers of tasks, by the number of steps.
        true: the hidden parameters of these tasks, and their latents.
        imagined: those of imagined tasks.
    """
    numbers, latents = true
    half = len(numbers) // 2
    relation = [_relation(latents[:half], x[:half]) for x in inferred]
    slope, offset, whiten = (torch.stack(x) for x in zip(*relation, strict=True))
    blank = torch.ones(len(steps), len(family.hidden))
    found = Evidence(
        checksum=policy.checksum,
        parameters=family.hidden,
        numbers=imagined[0],
        latents=imagined[1],
        steps=torch.tensor(steps),
        slope=slope,
        offset=offset,
        whiten=whiten,
        factor=blank,
        least=torch.zeros_like(blank),
        skill=blank,
    )
    rest = [x[half:] for x in inferred]
    factor, least, skill = _calibrated(found, rest, numbers[half:])
    return replace(found, factor=factor, least=least, skill=skill)


def _run(
    family: TaskFamily,
    tasks: Sequence[Task],
    each: int,
    threads: int,
    act: Act,
    rng: torch.Generator,
    *,
    explore: bool = True,
) -> Experience:
    env = make_env(family, worlds=len(tasks) * each, threads=threads)
    env.assign([task for task in tasks for _ in range(each)])
    return by_task(collect(env, act, rng, explore=explore), len(tasks))


def _relation(
    true: Float[Tensor, "task latent"], inferred: Float[Tensor, "task latent"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return A, b and L of z^ = A z + b, by ridge regression; see `Evidence`."""
    x, y = true.double(), inferred.double()
    mean_x, mean_y = x.mean(0), y.mean(0)
    dx, dy = x - mean_x, y - mean_y
    eye = torch.eye(x.shape[1], dtype=x.dtype)
    gram = dx.T @ dx / len(x)
    penalty = _RIDGE * gram.diagonal().mean().clamp(min=1e-12) * eye
    slope = torch.linalg.solve(gram + penalty, dx.T @ dy / len(x)).T
    left = dy - dx @ slope.T
    cov = left.T @ left / len(x)
    spread = max(float(gram.diagonal().mean()), 1e-12)
    cov = cov + _FLOOR * spread * eye
    whiten = torch.linalg.inv(torch.linalg.cholesky(cov))
    return slope.float(), (mean_y - mean_x @ slope.T).float(), whiten.float()


def _calibrated(
    evidence: Evidence,
    inferred: Sequence[Float[Tensor, "task latent"]],
    true: Float[Tensor, "task parameter"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return factors, what is added, and skills, from tasks not fitted to."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for place, latent in enumerate(inferred):
        weights = evidence.log_likelihood(latent, place).softmax(-1)
        mean, std = evidence.moments(weights)
        off = (true - mean).abs()
        factor = (off / std.clamp(min=1e-9)).quantile(0.9, dim=0) / WITHIN_90
        more = (off / WITHIN_90).square() - std.square()
        least = more.quantile(0.9, dim=0).clamp(min=0).sqrt() * (factor > _MOST)
        factor = torch.where(factor > _MOST, 1.0, factor)
        skill = torch.zeros_like(factor)
        for i, p in enumerate(evidence.parameters):
            numbers, actual = evidence.numbers[:, i], true[:, i]
            skill[i] = _skill(weights, mean[:, i], numbers, actual, p)
            if isinstance(p, Choice):
                share = weights @ options_of(numbers, p)
                factor[i] = _exponent(share, options_of(actual, p))
        found.append((factor, least, skill))
    factors, added, skills = zip(*found, strict=True)
    return torch.stack(factors), torch.stack(added), torch.stack(skills)


def _exponent(
    share: Float[Tensor, "task option"], actual: Float[Tensor, "task option"]
) -> float:
    """Return the greatest exponent by which likely options hold the actual in 90 %.

    Likely are the fewest options, most probable first, that sum to 0.9.
    """
    for exponent in _EXPONENTS:
        p = (share.double() ** exponent).clamp(min=1e-12)
        p = p / p.sum(-1, keepdim=True)
        # the probability of all that are more probable than the actual one
        own = (p * actual).sum(-1, keepdim=True)
        above = (p * (p > own)).sum(-1)
        if (above < 0.9).double().mean() >= 0.9:
            return exponent
    return _EXPONENTS[-1]


def _skill(
    weights: Float[Tensor, "task imagined"],
    mean: Float[Tensor, "task"],
    numbers: Float[Tensor, "imagined"],
    true: Float[Tensor, "task"],
    parameter: Parameter,
) -> Float[Tensor, ""]:
    """Return the share of variance, or of the Brier score, that is explained."""
    if isinstance(parameter, Choice):
        each = options_of(numbers, parameter)
        actual = options_of(true, parameter)
        left = (weights @ each - actual).square().sum(-1).mean()
        return 1 - left / (each.mean(0) - actual).square().sum(-1).mean()
    return 1 - (true - mean).square().mean() / true.var().clamp(min=1e-12)
