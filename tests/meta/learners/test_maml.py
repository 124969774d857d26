"""The meta-gradient: against exact values, finite differences and plain autograd."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience import returns
from meta.experience.batch import Batch, limit_episodes
from meta.experience.rollout import Experience
from meta.learners.advantage import LearnedAdvantage
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.objectives.policy_gradient import InnerLoss, clipped_surrogate, inner_loss
from meta.theta import Params, Theta, group
from policies.acting import Act
from policies.distribution import Distribution
from policies.gaussian import Gaussian
from policies.mlp import MlpPolicy, PolicyCfg

OBS, ACTION, TASKS, EPISODES, TIME = 3, 2, 3, 4, 6
PPO = MamlCfg(inner_steps=0, epochs=3, rate=1e-2)
KINDS: tuple[InnerLoss, ...] = ("ratio", "log-likelihood", "dice")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


# -- a Gaussian bandit with a known answer -------------------------------------------


class Bandit(nn.Module):
    """One action around one parameter, unit standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, obs: Tensor) -> Gaussian:
        mean = self.theta.expand(*obs.shape[:-1], 1)
        return Gaussian(mean, torch.zeros(1, dtype=torch.float64))


def bandit_sensitivity(kind: InnerLoss) -> float:
    """d theta' / d theta of one inner step at rate 0.1, reward -(a - 1)^2.

    The expected return -(theta - 1)^2 - 1 has the second derivative -2, so it is
    exactly 1 - 0.1 * 2 = 0.8. Read off the meta-gradient: the first-order one is the
    same but for this factor.
    """
    n = 10001
    # actions at the normal's quantiles: an expectation without sampling noise
    quantiles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    action = torch.special.ndtri(quantiles).reshape(1, n, 1, 1)
    reward = -(action[..., 0] - 1).square()
    unit = Gaussian(torch.zeros_like(action), torch.zeros_like(action))
    batch = Batch(
        obs=torch.zeros(1, n, 1, 1).double(),
        change=torch.zeros(1, n, 1, 2).double(),
        action=action,
        old=unit,
        old_log_prob=unit.log_prob(action),
        advantage=reward - reward.mean(),
        valid=torch.ones(1, n, 1).double(),
    )

    def meta_gradient(*, first_order: bool) -> Tensor:
        cfg = MamlCfg(
            inner_rate=0.1,
            inner_loss=kind,
            first_order=first_order,
            inner_kl=0.0,
            clip=100.0,
        )
        learner = Maml(cfg, Bandit())
        theta = learner.initial(1)
        theta["log_rate/theta"] = theta["log_rate/theta"].double()
        learner.trainable(theta)
        loss, _ = learner.objective(theta, [batch], batch)
        loss.backward()
        gradient = theta["policy/theta"].grad
        assert gradient is not None
        return gradient

    full, first = (meta_gradient(first_order=f) for f in (False, True))
    return (full / first).item()


@pytest.mark.parametrize(
    ("kind", "expected"), [("ratio", 0.8), ("dice", 0.8), ("log-likelihood", 1.0)]
)
def test_bandit_keeps_the_curvature_that_the_loss_promises(
    kind: InnerLoss, expected: float
) -> None:
    assert bandit_sensitivity(kind) == pytest.approx(expected, rel=0.01)


# -- the losses over time ------------------------------------------------------------


def time_losses(kind: InnerLoss) -> tuple[Tensor, Tensor]:
    """First and second derivatives at the sampling policy, over an unequal batch."""
    action, advantage = draw(3, 4, seed=0), draw(3, 4, seed=1)
    valid = (torch.arange(4) < torch.tensor([4, 1, 3])[:, None]).double()
    mean = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    log_prob = Gaussian(mean.reshape(1), torch.zeros(1).double()).log_prob(
        action[..., None]
    )
    loss = inner_loss(kind, log_prob, log_prob.detach(), advantage, valid)
    (first,) = torch.autograd.grad(loss, mean, create_graph=True)
    (second,) = torch.autograd.grad(first, mean)
    return first.detach(), second


def test_inner_losses_share_their_gradient_where_the_data_was_drawn() -> None:
    expected, _ = time_losses("log-likelihood")
    for kind in ("ratio", "dice"):
        torch.testing.assert_close(time_losses(kind)[0], expected)


def test_dice_curvature_is_that_of_the_trajectory() -> None:
    # with scores s_t = a_t - mean (and s_t' = -1), summed over an episode:
    # d2/dmean2 of exp(sum_{<=t} log p) - exp(sum_{<t} log p), each over its own value,
    # is (S_t^2 - t - 1) - (S_{t-1}^2 - t) with S_t = s_0 + ... + s_t
    action, advantage = draw(3, 4, seed=0), draw(3, 4, seed=1)
    total, count = 0.0, 0
    for episode, length in enumerate((4, 1, 3)):
        before = 0.0
        for t in range(length):
            until = before + action[episode, t].item() - 0.2
            total += (until**2 - before**2 - 1) * advantage[episode, t].item()
            before, count = until, count + 1
    assert time_losses("dice")[1].item() == pytest.approx(-total / count)


def test_clipped_surrogate_by_hand() -> None:
    ratio = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.1]])
    advantage = torch.tensor([[1.0, -1.0, 1.0, -1.0, 2.0]])
    # clip 0.2: min(1.5, 1.2), min(-1.5, -1.2), min(0.5, 0.8), min(-0.5, -0.8), 2.2
    expected = -(1.2 - 1.5 + 0.5 - 0.8 + 2.2) / 5
    zero, one = torch.zeros(1, 5), torch.ones(1, 5)
    got = clipped_surrogate(ratio.log(), zero, advantage, one, 0.2)
    assert got.item() == pytest.approx(expected)
    first = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])
    got = clipped_surrogate(ratio.log(), zero, advantage, first, 0.2)
    assert got.item() == pytest.approx(-1.2)


# -- a learner small enough for finite differences, in float64 -----------------------


def make_learner(cfg: MamlCfg) -> tuple[Maml, Theta]:
    network = PolicyCfg(hidden=(4,), initial_std=0.7, min_std=0.01)
    policy = MlpPolicy(OBS, ACTION, network, seeded(1))
    advantage = None
    if cfg.learned_advantage:
        weighed = cfg.weighed_summary
        advantage = LearnedAdvantage(
            2 * OBS + 1, ACTION, hidden=3, rng=seeded(2), weighed=weighed
        )
    learner = Maml(cfg, policy, advantage)
    theta = {k: v.double() for k, v in learner.initial(OBS).items()}
    # fresh last layers are so small that nothing would depend on the first ones
    rng = seeded(3)
    for name, value in theta.items():
        if name.startswith("policy/mean"):
            value += 0.3 * torch.randn(value.shape, generator=rng, dtype=value.dtype)
    learner.trainable(theta)
    return learner, theta


def make_lengths(episodes: int, *, seed: int) -> Tensor:
    """Valid masks of episodes that end at different steps."""
    lengths = torch.randint(2, TIME + 1, (TASKS, episodes, 1), generator=seeded(seed))
    return (torch.arange(TIME) < lengths).double()


def make_batch(episodes: int, *, seed: int) -> Batch:
    """Data of policies a little off the present ones, so that no ratio is 1."""
    shape = (TASKS, episodes, TIME)
    old = Gaussian(
        0.2 * draw(*shape, ACTION, seed=seed),
        (0.1 * draw(*shape, ACTION, seed=seed + 1)).sub(0.4),
    )
    action = old.mean + old.log_std.exp() * draw(*shape, ACTION, seed=seed + 2)
    return Batch(
        obs=draw(*shape, OBS, seed=seed + 3),
        change=draw(*shape, OBS + 1, seed=seed + 4),
        action=action,
        old=old,
        old_log_prob=old.log_prob(action),
        advantage=draw(*shape, seed=seed + 5),
        valid=make_lengths(episodes, seed=seed + 6),
    )


class World(NamedTuple):
    """A made-up task: actions are rewarded for lying along a direction of its own."""

    learner: Maml
    theta: Theta

    def collect(self, act: Act, episodes: int = EPISODES, *, seed: int) -> Experience:
        rng = seeded(seed)
        shape = (TASKS, episodes, TIME)
        obs = draw(*shape, OBS, seed=seed + 100)
        steps = [gaussian(act(obs[:, :, t].flatten(0, 1))) for t in range(TIME)]
        mean = torch.stack([s.mean for s in steps], 1).unflatten(0, shape[:2])
        log_std = torch.stack([s.log_std for s in steps], 1).unflatten(0, shape[:2])
        old = Gaussian(mean, log_std)
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
        action = mean + log_std.exp() * noise
        direction = draw(TASKS, 1, 1, ACTION, seed=7)
        return Experience(
            obs=obs,
            next_obs=obs + 0.1 * draw(*shape, OBS, seed=seed + 101),
            action=action,
            old=old,
            reward=(action * direction).sum(-1) - action.square().sum(-1),
            valid=make_lengths(episodes, seed=seed + 102),
        )

    def run(self, *, episodes: int = EPISODES) -> list[Experience]:
        """One experience per phase, each by the policies adapted so far."""
        learner, theta = self
        adaptation = learner.begin(theta, TASKS)
        experiences: list[Experience] = []
        for phase in range(learner.cfg.inner_steps):
            act = learner.act(theta, adaptation)
            experiences.append(self.collect(detached(act), episodes, seed=phase))
            adaptation = learner.adapt(theta, adaptation, experiences[-1])
        act = learner.act(theta, adaptation)
        return [*experiences, self.collect(detached(act), seed=50)]


def gaussian(d: Distribution) -> Gaussian:
    assert isinstance(d, Gaussian)
    return d


def detached(act: Act) -> Act:
    def wrapped(obs: Tensor) -> Gaussian:
        with torch.no_grad():
            return gaussian(act(obs))

    return wrapped


def make_world(cfg: MamlCfg) -> World:
    return World(*make_learner(cfg))


def gradients(learner: Maml, theta: Theta, loss: Tensor) -> dict[str, Tensor]:
    leaves = learner.trainable(theta)
    got = torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
    names = {id(v): k for k, v in theta.items()}
    return {
        names[id(leaf)]: torch.zeros_like(leaf) if g is None else g
        for leaf, g in zip(leaves, got, strict=True)
    }


def flatten(tensors: dict[str, Tensor], prefix: str = "") -> Tensor:
    return torch.cat([v.flatten() for k, v in tensors.items() if k.startswith(prefix)])


def cosine(a: Tensor, b: Tensor) -> float:
    return torch.nn.functional.cosine_similarity(a, b, dim=0).item()


@pytest.mark.parametrize(
    ("inner_steps", "episodes", "learned", "weighed"),
    [
        (1, EPISODES, False, False),
        (1, 1, True, False),
        (2, EPISODES, True, False),
        (1, EPISODES, True, True),
    ],
)
def test_meta_gradient_equals_finite_differences(
    inner_steps: int, episodes: int, learned: bool, weighed: bool
) -> None:
    cfg = MamlCfg(
        inner_steps=inner_steps,
        inner_rate=0.3,
        inner_kl=0.5,
        learned_advantage=learned,
        weighed_summary=weighed,
    )
    learner, theta = make_learner(cfg)
    inner = [make_batch(episodes, seed=20 * (i + 1)) for i in range(inner_steps)]
    outer = make_batch(EPISODES, seed=200)

    def loss() -> Tensor:
        return learner.objective(theta, inner, outer)[0]

    exact = gradients(learner, theta, loss())
    groups = {"policy", "log_rate"} | ({"advantage"} if learned else set[str]())
    assert {k.split("/")[0] for k in exact} == groups
    step = 1e-5
    for name, expected in exact.items():
        numeric = torch.zeros_like(expected)
        flat = theta[name].detach().view(-1)
        for i in range(len(flat)):
            value = flat[i].item()
            ends: list[float] = []
            for end in (value + step, value - step):
                flat[i] = end
                with torch.no_grad():
                    ends.append(loss().item())
            flat[i] = value
            numeric.view(-1)[i] = (ends[0] - ends[1]) / (2 * step)
        torch.testing.assert_close(expected, numeric, rtol=1e-5, atol=1e-8, msg=name)
        assert expected.abs().max() > 1e-6, name


# -- what the optimiser sees ---------------------------------------------------------


def reference_gradient(
    learner: Maml, theta: Theta, experiences: Sequence[Experience]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Meta-gradient and inner gradient, by loops and plain autograd only.

    For the sampling policies themselves: every ratio is 1 and every KL is 0.
    """
    cfg = learner.cfg
    policy, rates = group(theta, "policy"), group(theta, "log_rate")
    total, inner_total = torch.zeros(()).double(), torch.zeros(()).double()
    for task in range(TASKS):
        params = policy
        for e in experiences[:-1]:
            loss = -surrogate(learner, params, e, task)
            inner_total = inner_total + loss
            step = torch.autograd.grad(loss, list(params.values()), create_graph=True)
            params = {
                k: v - rates[k].exp() * g
                for (k, v), g in zip(params.items(), step, strict=True)
            }
        total = total - surrogate(learner, params, experiences[-1], task) / TASKS
    assert cfg.inner_loss == "ratio"
    return gradients(learner, theta, total), gradients(learner, theta, inner_total)


def surrogate(learner: Maml, params: Params, e: Experience, task: int) -> Tensor:
    """Mean of ratio times advantage of one task, the baseline fitted to it alone."""
    cfg = learner.cfg
    valid = e.valid[task]
    x = returns.features(e.obs[task].clamp(-10, 10))
    target = returns.discounted(e.reward[task], valid, cfg.discount)
    weights = returns.fit_ridge(x.flatten(0, 1), target.flatten(), valid.flatten())
    advantage = returns.gae(e.reward[task], x @ weights, valid, cfg.discount, cfg.trace)
    advantage = returns.standardise(advantage, valid)
    dist = functional_call(learner.policy, params, (e.obs[task].clamp(-10, 10),))
    log_prob = dist.log_prob(e.action[task])
    ratio = (log_prob - log_prob.detach()).exp()
    return (ratio * advantage * valid).sum() / valid.sum()


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_the_optimiser_sees_the_meta_gradient(inner_steps: int) -> None:
    cfg = MamlCfg(
        inner_steps=inner_steps, inner_rate=0.5, epochs=1, max_grad_norm=1e9, rate=1e-3
    )
    learner, theta = world = make_world(cfg)
    experiences = world.run()
    expected, inner = reference_gradient(learner, theta, experiences)
    before = {k: v.detach().clone() for k, v in theta.items()}
    optimizer = torch.optim.Adam(learner.trainable(theta), lr=cfg.rate, eps=1e-3)
    metrics = learner.update(theta, optimizer, experiences)
    for name, gradient in expected.items():
        torch.testing.assert_close(theta[name].grad, gradient, msg=name)
        # Adam's first step: both moments are the gradient's own
        step = cfg.rate * gradient / (gradient.abs() + 1e-3)
        torch.testing.assert_close(theta[name].detach(), before[name] - step, msg=name)
    meta = flatten(expected, "policy")
    assert abs(cosine(meta, flatten(inner, "policy"))) < 0.95
    assert metrics["grad_norm"] == pytest.approx(flatten(expected).norm().item())


def test_the_gradient_is_clipped_to_its_norm() -> None:
    cfg = MamlCfg(epochs=1, max_grad_norm=1e-3)
    learner, theta = world = make_world(cfg)
    experiences = world.run()
    optimizer = torch.optim.Adam(learner.trainable(theta))
    metrics = learner.update(theta, optimizer, experiences)
    seen = {k: v.grad for k, v in theta.items() if v.grad is not None}
    assert flatten(seen).norm().item() == pytest.approx(1e-3, rel=1e-4)
    assert metrics["grad_norm"] > 1e-2


def test_an_infinite_meta_gradient_stops_the_update() -> None:
    learner, theta = world = make_world(MamlCfg())
    *pre, post = world.run()
    before = theta["policy/log_std"].detach().clone()
    reward = post.reward.clone()
    reward[0, 0, 0] = float("inf")
    optimizer = torch.optim.Adam(learner.trainable(theta))
    with pytest.raises(FloatingPointError, match="meta-gradient's norm is nan"):
        learner.update(theta, optimizer, [*pre, post._replace(reward=reward)])
    assert torch.equal(theta["policy/log_std"], before)


# -- limits in which it must be something simpler ------------------------------------


def ppo_loss(learner: Maml, params: Params, e: Experience) -> Tensor:
    """PPO over all tasks, written out."""
    total = torch.zeros(()).double()
    for task in range(TASKS):
        valid = e.valid[task]
        x = returns.features(e.obs[task].clamp(-10, 10))
        target = returns.discounted(e.reward[task], valid, 0.99)
        weights = returns.fit_ridge(x.flatten(0, 1), target.flatten(), valid.flatten())
        value = x @ weights
        advantage = returns.standardise(
            returns.gae(e.reward[task], value, valid, 0.99, 1.0), valid
        )
        dist = functional_call(learner.policy, params, (e.obs[task].clamp(-10, 10),))
        old = Gaussian(*(x[task] for x in e.old)).log_prob(e.action[task])
        ratio = (dist.log_prob(e.action[task]) - old).exp()
        clipped = ratio.clamp(1 - learner.cfg.clip, 1 + learner.cfg.clip)
        gain = torch.minimum(ratio * advantage, clipped * advantage)
        total = total - (gain * valid).sum() / valid.sum() / TASKS
    return total


def test_no_inner_step_is_ppo() -> None:
    learner, theta = world = make_world(PPO)
    (experience,) = world.run()
    params = {
        k: v.detach().clone().requires_grad_()
        for k, v in group(theta, "policy").items()
    }
    reference = torch.optim.Adam(params.values(), lr=PPO.rate)
    for _ in range(PPO.epochs):
        reference.zero_grad()
        ppo_loss(learner, params, experience).backward()
        nn.utils.clip_grad_norm_(params.values(), PPO.max_grad_norm)
        reference.step()
    assert set(k.split("/")[0] for k in theta) == {"policy", "moments", "baseline"}
    optimizer = torch.optim.Adam(learner.trainable(theta), lr=PPO.rate)
    learner.update(theta, optimizer, [experience])
    for name, value in params.items():
        torch.testing.assert_close(theta[f"policy/{name}"], value, msg=name)


def test_it_warms_up_as_ppo_and_then_learns_to_adapt() -> None:
    cfg = MamlCfg(warm_up=0.4, epochs=3, rate=1e-2, learned_advantage=True)
    learner, theta = make_world(cfg)
    first, left = learner.stage(0.1)
    assert (first.inner_steps, left) == (0, 0.75)
    later, left = learner.stage(0.7)
    assert later is learner
    assert left == pytest.approx(0.5)
    before = {k: v.detach().clone() for k, v in theta.items()}
    plain, twin = make_world(PPO)
    (experience,) = World(plain, twin).run()
    for who, what in ((first, theta), (plain, twin)):
        optimizer = torch.optim.Adam(who.trainable(what), lr=1e-2)
        who.update(what, optimizer, [experience])
    for name, value in group(twin, "policy").items():
        torch.testing.assert_close(theta[f"policy/{name}"], value)
    for name, value in before.items():
        if name.split("/")[0] in ("log_rate", "advantage"):
            assert torch.equal(theta[name], value), name


@pytest.mark.parametrize("how", ["inner_rate", "log_rate"])
def test_a_step_of_size_zero_has_the_gradient_of_ppo(how: str) -> None:
    zero = MamlCfg(inner_rate=0.0, inner_kl=0.0) if how == "inner_rate" else MamlCfg()
    cfg = replace(zero, epochs=1, max_grad_norm=1e9)
    learner, theta = world = make_world(cfg)
    if how == "log_rate":
        with torch.no_grad():
            for value in group(theta, "log_rate").values():
                value.fill_(-torch.inf)
    *pre, post = world.run()
    params = group(theta, "policy")
    loss = ppo_loss(learner, params, post)
    expected = torch.autograd.grad(loss, list(params.values()))
    optimizer = torch.optim.SGD(learner.trainable(theta), lr=0.0)
    learner.update(theta, optimizer, [*pre, post])
    for value, gradient in zip(params.values(), expected, strict=True):
        torch.testing.assert_close(value.grad, gradient)
    rates = [v.grad for v in group(theta, "log_rate").values()]
    assert all(g is not None and not g.any() for g in rates)


def test_the_unadapted_policy_can_be_asked_to_act_well() -> None:
    cfg = MamlCfg(inner_rate=0.3, learned_advantage=True)
    learner, theta = make_learner(cfg)
    asking = Maml(replace(cfg, unadapted=0.7), learner.policy, learner.advantage)
    inner, outer = make_batch(EPISODES, seed=20), make_batch(EPISODES, seed=200)
    ppo = Maml(PPO, learner.policy)
    both = gradients(asking, theta, asking.objective(theta, [inner], outer)[0])
    plain = gradients(learner, theta, learner.objective(theta, [inner], outer)[0])
    own = gradients(ppo, theta, ppo.objective(theta, [], inner)[0])
    for name, gradient in both.items():
        expected = plain[name] + 0.7 * own.get(name, torch.zeros(()))
        torch.testing.assert_close(gradient, expected, msg=name)
    assert flatten(own).abs().max() > 1e-3


def test_first_order_is_the_gradient_at_the_adapted_parameters() -> None:
    cfg = MamlCfg(inner_rate=0.5, first_order=True, inner_kl=0.0)
    learner, theta = make_learner(cfg)
    inner, outer = make_batch(EPISODES, seed=20), make_batch(EPISODES, seed=200)
    got = gradients(learner, theta, learner.objective(theta, [inner], outer)[0])
    second = Maml(replace(cfg, first_order=False), learner.policy)
    full = gradients(second, theta, second.objective(theta, [inner], outer)[0])
    total = {k: torch.zeros_like(v) for k, v in group(theta, "policy").items()}
    for task in range(TASKS):
        params = group(theta, "policy")
        loss = -ratio_mean(learner, params, inner, task)
        step = torch.autograd.grad(loss, list(params.values()))
        adapted = {
            k: (v - 0.5 * g).detach().requires_grad_()
            for (k, v), g in zip(params.items(), step, strict=True)
        }
        outside = clipped_mean(learner, adapted, outer, task)
        per_task = torch.autograd.grad(outside, list(adapted.values()))
        for name, g in zip(adapted, per_task, strict=True):
            total[name] += g / TASKS
    for name, value in total.items():
        torch.testing.assert_close(got[f"policy/{name}"], value, msg=name)
    assert cosine(flatten(got, "policy"), flatten(full, "policy")) < 0.999
    # the step sizes do not need second derivatives
    torch.testing.assert_close(flatten(got, "log_rate"), flatten(full, "log_rate"))


def task_ratio(learner: Maml, params: Params, batch: Batch, task: int) -> Tensor:
    dist = functional_call(learner.policy, params, (batch.obs[task],))
    return (dist.log_prob(batch.action[task]) - batch.old_log_prob[task]).exp()


def ratio_mean(learner: Maml, params: Params, batch: Batch, task: int) -> Tensor:
    valid = batch.valid[task]
    gain = task_ratio(learner, params, batch, task) * batch.advantage[task]
    return (gain * valid).sum() / valid.sum()


def clipped_mean(learner: Maml, params: Params, batch: Batch, task: int) -> Tensor:
    valid, advantage = batch.valid[task], batch.advantage[task]
    ratio = task_ratio(learner, params, batch, task)
    bounded = ratio.clamp(1 - learner.cfg.clip, 1 + learner.cfg.clip)
    gain = torch.minimum(ratio * advantage, bounded * advantage)
    return -(gain * valid).sum() / valid.sum()


# -- phases, tasks, episodes ---------------------------------------------------------


@pytest.mark.parametrize("inner_steps", [1, 2, 3])
def test_every_phase_is_anchored_to_its_own_sampling_policy(inner_steps: int) -> None:
    cfg = MamlCfg(inner_steps=inner_steps, inner_rate=0.5, epochs=1)
    learner, theta = world = make_world(cfg)
    experiences = world.run()
    optimizer = torch.optim.SGD(learner.trainable(theta), lr=0.0)
    metrics = learner.update(theta, optimizer, experiences)
    # at the first epoch every ratio is 1: no KL, and the mean advantage is 0
    assert metrics["inner_kl"] == pytest.approx(0, abs=1e-12)
    assert metrics["outer_kl"] == pytest.approx(0, abs=1e-12)
    assert metrics["loss"] == pytest.approx(0, abs=1e-12)
    means = [e.old.log_prob(e.action).mean().item() for e in experiences]
    assert len({round(m, 6) for m in means}) == inner_steps + 1


def test_later_epochs_move_away_from_the_sampling_policies() -> None:
    cfg = MamlCfg(inner_steps=2, inner_rate=0.5, epochs=3, rate=1e-2)
    learner, theta = world = make_world(cfg)
    experiences = world.run()
    optimizer = torch.optim.Adam(learner.trainable(theta), lr=cfg.rate)
    metrics = learner.update(theta, optimizer, experiences)
    assert metrics["inner_kl"] > 1e-6
    assert metrics["outer_kl"] > 1e-6


def test_an_update_stops_once_the_policies_have_moved_far_enough() -> None:
    steps: dict[float, float] = {}
    for max_kl in (1e-9, 100.0):
        cfg = MamlCfg(epochs=6, max_kl=max_kl)
        learner, theta = world = make_world(cfg)
        optimizer = torch.optim.Adam(learner.trainable(theta), lr=cfg.rate)
        learner.update(theta, optimizer, world.run())
        steps[max_kl] = optimizer.state[theta["policy/log_std"]]["step"].item()
    # the first epoch has not moved yet, the second finds that it has, and takes no step
    assert steps == {1e-9: 1, 100.0: 6}


@pytest.mark.parametrize("kind", KINDS)
def test_all_inner_losses_adapt_alike(kind: InnerLoss) -> None:
    cfg = MamlCfg(inner_steps=2, inner_rate=0.5)
    learner, theta = world = make_world(cfg)
    other = Maml(replace(cfg, inner_loss=kind), learner.policy)
    adaptation = learner.begin(theta, TASKS)
    for phase in range(2):
        act = detached(learner.act(theta, adaptation))
        experience = world.collect(act, seed=phase)
        got = other.adapt(theta, adaptation, experience)
        adaptation = learner.adapt(theta, adaptation, experience)
        for name, value in adaptation.items():
            torch.testing.assert_close(got[name], value)


def take(e: Experience, tasks: slice, episodes: slice = slice(None)) -> Experience:
    def cut(x: Tensor) -> Tensor:
        return x[tasks, episodes]

    return Experience(
        obs=cut(e.obs),
        next_obs=cut(e.next_obs),
        action=cut(e.action),
        old=Gaussian(*map(cut, e.old)),
        reward=cut(e.reward),
        valid=cut(e.valid),
    )


FEW = MamlCfg(learned_advantage=True, inner_baseline="pooled", inner_rate=0.5)
WEIGHED = replace(FEW, weighed_summary=True)


@pytest.mark.parametrize("cfg", [MamlCfg(inner_rate=0.5), FEW, WEIGHED])
def test_adapting_and_acting_equal_a_loop_over_tasks(cfg: MamlCfg) -> None:
    learner, theta = world = make_world(cfg)
    adaptation = learner.begin(theta, TASKS)
    experience = world.collect(detached(learner.act(theta, adaptation)), seed=0)
    adapted = learner.adapt(theta, adaptation, experience)
    obs = draw(TASKS * EPISODES, OBS, seed=5)
    dist = gaussian(learner.act(theta, adapted)(obs))
    one = learner.begin(theta, 1)
    for task in range(TASKS):
        alone = learner.adapt(theta, one, take(experience, slice(task, task + 1)))
        for name, value in alone.items():
            torch.testing.assert_close(adapted[name][task], value[0], msg=name)
        worlds = slice(task * EPISODES, (task + 1) * EPISODES)
        expected = gaussian(learner.act(theta, alone)(obs[worlds]))
        torch.testing.assert_close(dist.mean[worlds], expected.mean)
        torch.testing.assert_close(dist.log_std[worlds], expected.log_std)
    assert not torch.allclose(adapted["mean.0.weight"][0], adapted["mean.0.weight"][1])


@pytest.mark.parametrize("inner_steps", [1, 2])
def test_objective_equals_a_loop_over_tasks(inner_steps: int) -> None:
    cfg = MamlCfg(inner_steps=inner_steps, inner_rate=0.3, learned_advantage=True)
    learner, theta = make_learner(cfg)
    batches = [make_batch(EPISODES, seed=20 * (i + 1)) for i in range(inner_steps + 1)]
    *inner, outer = batches
    together = gradients(learner, theta, learner.objective(theta, inner, outer)[0])
    apart: list[dict[str, Tensor]] = []
    for i in range(TASKS):
        *ones, last = (slice_batch(b, i) for b in batches)
        loss = learner.objective(theta, ones, last)[0]
        apart.append(gradients(learner, theta, loss))
    for name, gradient in together.items():
        mean = torch.stack([g[name] for g in apart]).mean(0)
        torch.testing.assert_close(gradient, mean, msg=name)


def slice_batch(b: Batch, task: int) -> Batch:
    old = Gaussian(*(x[task : task + 1] for x in b.old))
    rest = {k: v[task : task + 1] for k, v in b._asdict().items() if k != "old"}
    return Batch(old=old, **rest)


@pytest.mark.parametrize("cfg", [MamlCfg(inner_rate=0.5), FEW, WEIGHED])
def test_limited_experience_adapts_like_those_episodes_alone(cfg: MamlCfg) -> None:
    learner, theta = world = make_world(cfg)
    adaptation = learner.begin(theta, TASKS)
    experience = world.collect(detached(learner.act(theta, adaptation)), seed=0)
    counts = torch.tensor([1, 4, 2])
    adapted = learner.adapt(theta, adaptation, limit_episodes(experience, counts))
    whole = learner.adapt(theta, adaptation, experience)
    for task, count in enumerate(counts.tolist()):
        few = take(experience, slice(task, task + 1), slice(0, count))
        alone = learner.adapt(theta, learner.begin(theta, 1), few)
        for name, value in alone.items():
            torch.testing.assert_close(adapted[name][task], value[0], msg=name)
        same = torch.allclose(adapted["log_std"][task], whole["log_std"][task])
        assert same == (count == EPISODES)


def test_adapting_changes_neither_theta_nor_what_it_started_from() -> None:
    learner, theta = world = make_world(MamlCfg())
    before = {k: v.detach().clone() for k, v in theta.items()}
    adaptation = learner.begin(theta, TASKS)
    experience = world.collect(detached(learner.act(theta, adaptation)), seed=0)
    adapted = learner.adapt(theta, adaptation, experience)
    assert not any(v.requires_grad for v in adapted.values())
    for name, value in before.items():
        assert torch.equal(theta[name], value)
    for name, value in adaptation.items():
        assert torch.equal(value[0], theta[f"policy/{name}"])


# -- what else is learned ------------------------------------------------------------


def test_rates_start_where_asked_and_stay_fixed_unless_learned() -> None:
    for learn in (True, False):
        cfg = MamlCfg(inner_rate=0.25, learn_rates=learn, rate=1e-2)
        learner, theta = world = make_world(cfg)
        rates = {k: v for k, v in theta.items() if k.startswith("log_rate")}
        assert all(v.exp().allclose(torch.full_like(v, 0.25)) for v in rates.values())
        optimizer = torch.optim.Adam(learner.trainable(theta), lr=cfg.rate)
        learner.update(theta, optimizer, world.run())
        moved = any(
            not v.exp().allclose(torch.full_like(v, 0.25)) for v in rates.values()
        )
        assert moved == learn
        assert all((v.exp() > 0).all() for v in rates.values())


@pytest.mark.parametrize("weighed", [False, True])
def test_a_learned_advantage_learns(weighed: bool) -> None:
    cfg = replace(FEW, epochs=1, max_grad_norm=1e9, weighed_summary=weighed)
    learner, theta = world = make_world(cfg)
    optimizer = torch.optim.Adam(learner.trainable(theta))
    learner.update(theta, optimizer, world.run())
    for name, value in group(theta, "advantage").items():
        assert value.grad is not None
        assert value.grad.abs().max() > 1e-6, name


def test_update_refreshes_moments_and_pooled_baseline_from_the_first_phase() -> None:
    learner, theta = world = make_world(MamlCfg(epochs=1))
    pre, post = world.run()
    optimizer = torch.optim.Adam(learner.trainable(theta))
    learner.update(theta, optimizer, [pre, post])
    kept = pre.valid > 0
    seen = torch.cat([pre.obs, pre.next_obs - pre.obs, pre.reward[..., None]], dim=-1)[
        kept
    ]
    torch.testing.assert_close(theta["moments/mean"], seen.mean(0))
    variance = theta["moments/square"] / theta["moments/count"]
    torch.testing.assert_close(variance, seen.var(0, correction=0))
    obs = (pre.obs - seen.mean(0)[:OBS]) / seen.std(0, correction=0)[:OBS]
    target = returns.discounted(pre.reward, pre.valid, 0.99)[kept]
    x = returns.features(obs)[kept]
    weights = returns.fit_ridge(x, target, torch.ones(len(x)).double())
    torch.testing.assert_close(theta["baseline/weights"], weights)
    torch.testing.assert_close(theta["baseline/scale"], (target - x @ weights).std())


def test_a_pooled_baseline_leaves_a_tasks_worth_in_the_advantage() -> None:
    """One constant reward more in a task: `task` subtracts it, `pooled` does not."""
    changed: dict[str, bool] = {}
    for baseline in ("task", "pooled"):
        cfg = MamlCfg(inner_baseline=baseline, inner_rate=0.5, discount=1.0)
        learner, theta = world = make_world(cfg)
        adaptation = learner.begin(theta, TASKS)
        e = world.collect(detached(learner.act(theta, adaptation)), seed=0)
        e = e._replace(valid=torch.ones_like(e.valid))
        plain = learner.adapt(theta, adaptation, e)
        last = torch.zeros_like(e.reward)
        last[..., -1] = 5.0
        richer = learner.adapt(theta, adaptation, e._replace(reward=e.reward + last))
        changed[baseline] = not torch.allclose(
            plain["log_std"], richer["log_std"], rtol=1e-3
        )
    assert changed == {"task": False, "pooled": True}


# -- wrong input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MamlCfg(inner_steps=-1), "need 0 <= inner_steps <= 100, got -1"),
        (lambda: MamlCfg(epochs=0), "need 1 <= epochs <= 10,000, got 0"),
        (
            lambda: MamlCfg(adapt_episodes=(0, 2)),
            r"adapt_episodes of at least 1 each, got \(0, 2\)",
        ),
        (lambda: MamlCfg(discount=1.5), r"discount <= 1.*got 1.5"),
        (lambda: MamlCfg(inner_rate=-0.1), r"inner_rate.* >= 0.*got -0.1"),
        (lambda: MamlCfg(rate=0.0), "need rate > 0, got 0.0"),
        (lambda: MamlCfg(warm_up=1.0), "need 0 <= warm_up < 1, got 1.0"),
        (lambda: MamlCfg(unadapted=-1.0), r"unadapted >= 0.*-1.0"),
        (
            lambda: MamlCfg(first_order=True, learned_advantage=True),
            "first_order drops",
        ),
        (
            lambda: MamlCfg(weighed_summary=True),
            "weighed_summary weighs what .*: give --no-weighed-summary, too, or",
        ),
    ],
)
def test_wrong_settings_are_refused(make: Callable[[], MamlCfg], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_a_policy_that_warms_up_has_no_summary_to_weigh() -> None:
    learner, _ = make_learner(replace(WEIGHED, warm_up=0.5))
    early, _ = learner.stage(0.25)
    assert not early.inner_steps
    assert not early.cfg.weighed_summary


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    kind: InnerLoss = "reinforce"  # pyright: ignore[reportAssignmentType]
    # a run-time type checker, where there is one, is faster to refuse it
    with pytest.raises((ValueError, TypeError), match=r"(?s)'reinforce'.*ratio"):
        MamlCfg(inner_loss=kind)


def test_an_advantage_module_must_be_asked_for() -> None:
    learner, _ = make_learner(FEW)
    with pytest.raises(ValueError, match="learned_advantage needs an advantage module"):
        Maml(MamlCfg(), learner.policy, learner.advantage)
    with pytest.raises(ValueError, match="learned_advantage needs an advantage module"):
        Maml(FEW, learner.policy)
