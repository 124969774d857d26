"""The categorical's formulas, and the gradients that adaptation takes through it."""

import torch
from torch import Tensor, nn
from torch.distributions import OneHotCategorical, kl_divergence
from torch.func import grad

from meta.experience.batch import Batch
from meta.learners.advantage import LearnedAdvantage
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.objectives.policy_gradient import clipped_surrogate, inner_loss
from policies.categorical import Categorical
from policies.mlp import MlpPolicy, PolicyCfg

CHOICES, TASKS, EPISODES, TIME = 3, 2, 4, 5


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def both(seed: int = 0) -> tuple[Categorical, OneHotCategorical]:
    logits = draw(6, CHOICES, seed=seed)
    return Categorical(logits), OneHotCategorical(logits=logits)


def test_its_formulas_are_those_of_torch_distributions() -> None:
    (p, p_reference), (q, q_reference) = both(0), both(1)
    action = p.sample(seeded())
    assert action.sum(-1).eq(1).all()
    torch.testing.assert_close(p.log_prob(action), p_reference.log_prob(action))
    torch.testing.assert_close(p.entropy(), p_reference.entropy())
    torch.testing.assert_close(p.kl(q), kl_divergence(p_reference, q_reference))
    torch.testing.assert_close(p.mean, p_reference.mean)
    torch.testing.assert_close(p.std.square(), p_reference.variance)
    assert torch.equal(p.mode, p_reference.mode)
    assert not torch.allclose(p.kl(q), q.kl(p))


def test_choices_are_drawn_as_often_as_they_are_probable() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(2, 20_000, 3)
    drawn = Categorical(logits).sample(seeded(1))
    assert drawn.shape == logits.shape
    shares, wanted = drawn.mean(1), logits[:, 0].softmax(-1)
    torch.testing.assert_close(shares, wanted, atol=0.015, rtol=0)
    assert torch.equal(drawn, Categorical(logits).sample(seeded(1)))
    noise = Categorical(logits).noise(drawn)
    torch.testing.assert_close(noise.mean(1), torch.zeros(2, 3), atol=0.015, rtol=0)


def test_a_policy_over_choices_has_logits_and_no_spread() -> None:
    policy = MlpPolicy(4, CHOICES, PolicyCfg(hidden=(5,)), seeded(), discrete=True)
    dist = policy(torch.randn(7, 4, generator=seeded()))
    assert isinstance(dist, Categorical)
    assert "log_std" not in dict(policy.named_parameters())
    assert (dist.mean - 1 / 3).abs().max() < 0.05


# -- a bandit's policy: its logits are its parameters ----------------------------------


class Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(draw(CHOICES, seed=5))

    def forward(self, obs: Tensor) -> Categorical:
        return Categorical(self.logits.expand(*obs.shape[:-1], CHOICES))


def batch(old: Categorical, seed: int, *lead: int) -> Batch:
    shape = (*lead, EPISODES, TIME)
    old = Categorical(old.logits.expand(*shape, CHOICES))
    action = old.sample(seeded(seed))
    return Batch(
        obs=draw(*shape, 1, seed=seed),
        change=draw(*shape, 2, seed=seed + 1),
        action=action,
        old=old,
        old_log_prob=old.log_prob(action),
        advantage=draw(*shape, seed=seed + 2),
        valid=torch.ones(shape, dtype=torch.float64),
    )


def test_the_gradients_of_both_losses_are_the_closed_form() -> None:
    """advantage * ratio * (choice - probabilities), and none where PPO clips it."""
    old, new = Categorical(draw(CHOICES, seed=1)), draw(CHOICES, seed=2)
    b = batch(old, 3)

    def ratio(logits: Tensor) -> Tensor:
        p = Categorical(logits.expand_as(b.action))
        return (p.log_prob(b.action) - b.old_log_prob).exp()

    def inner(logits: Tensor) -> Tensor:
        p = Categorical(logits.expand_as(b.action)).log_prob(b.action)
        return inner_loss("ratio", p, b.old_log_prob, b.advantage, b.valid)

    def clipped(logits: Tensor) -> Tensor:
        p = Categorical(logits.expand_as(b.action)).log_prob(b.action)
        return clipped_surrogate(p, b.old_log_prob, b.advantage, b.valid, 0.05)

    score = Categorical(new.expand_as(b.action)).noise(b.action)
    weight = (b.advantage * ratio(new))[..., None]
    expected = -(weight * score).mean((0, 1))
    torch.testing.assert_close(grad(inner)(new), expected)
    r = ratio(new)
    still = torch.where(b.advantage > 0, r < 1.05, r > 0.95)
    assert 0 < still.sum() < still.numel()
    expected = -(weight * score * still[..., None]).mean((0, 1))
    torch.testing.assert_close(grad(clipped)(new), expected)


def test_an_inner_step_moves_the_logits_by_the_closed_form() -> None:
    learner = Maml(MamlCfg(inner_rate=0.5, learn_rates=False), Logits())
    theta = {k: v.double() for k, v in learner.initial(1).items()}
    p = Categorical(theta["policy/logits"])
    b = batch(p, 3)
    stepped, kl = learner._inner_step(theta, {"logits": p.logits}, b)
    change = 0.5 * (b.advantage[..., None] * p.noise(b.action)).mean((0, 1))
    torch.testing.assert_close(stepped["logits"], p.logits + change)
    assert abs(float(kl)) < 1e-12


def test_a_push_moves_the_probabilities_as_its_noise_would_on_average() -> None:
    """E[w . (choice - p) * score] = d(w . p) / d(logits), summed over all choices."""
    logits, w = draw(CHOICES, seed=1), draw(CHOICES, seed=2)
    old = Categorical(logits)
    pushed = grad(lambda new: (w * old.shift(Categorical(new))).sum())(logits)
    every = torch.eye(CHOICES, dtype=torch.float64)
    noise = old.noise(every)
    expected = (old.mean * (noise @ w)) @ noise
    torch.testing.assert_close(pushed, expected)


def test_the_meta_gradient_is_that_of_finite_differences() -> None:
    """Through the inner step, its learned advantage and the KL penalties."""
    cfg = MamlCfg(inner_rate=0.3, learned_advantage=True, inner_kl=0.1)
    advantage = LearnedAdvantage(3, CHOICES, hidden=3, rng=seeded(2))
    learner = Maml(cfg, Logits(), advantage)
    theta = {k: v.double() for k, v in learner.initial(1).items()}
    leaves = learner.trainable(theta)
    old = Categorical(draw(CHOICES, seed=6))
    inner, outer = batch(old, 7, TASKS), batch(old, 8, TASKS)

    def loss() -> Tensor:
        return learner.objective(theta, [inner], outer)[0]

    got = torch.autograd.grad(loss(), leaves)
    step = 1e-6
    for leaf, gradient in zip(leaves, got, strict=True):
        flat, expected = leaf.data.view(-1), torch.zeros_like(gradient).view(-1)
        for i in range(len(flat)):
            kept = flat[i].item()
            flat[i] = kept + step
            above = loss().item()
            flat[i] = kept - step
            expected[i] = (above - loss().item()) / (2 * step)
            flat[i] = kept
        torch.testing.assert_close(gradient.view(-1), expected, atol=1e-8, rtol=1e-5)
