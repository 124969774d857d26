"""Policies: the Gaussian's formulas, and modules as functions of their parameters."""

import copy
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence
from torch.func import functional_call, vmap

from policies.gaussian import Gaussian
from policies.mlp import Mlp, MlpPolicy, PolicyCfg

OBS, ACTION, SETS = 3, 2, 4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_policy(*, initial_std: float = 0.5, min_std: float = 0.1) -> MlpPolicy:
    cfg = PolicyCfg(hidden=(5, 4), initial_std=initial_std, min_std=min_std)
    return MlpPolicy(OBS, ACTION, cfg, seeded())


def make_gaussian(seed: int) -> tuple[Gaussian, Independent]:
    rng = seeded(seed)
    mean = torch.randn(6, ACTION, generator=rng, dtype=torch.float64)
    log_std = 0.5 * torch.randn(6, ACTION, generator=rng, dtype=torch.float64)
    return Gaussian(mean, log_std), Independent(Normal(mean, log_std.exp()), 1)


def test_log_prob_equals_torch_distributions() -> None:
    ours, reference = make_gaussian(0)
    action = torch.randn(6, ACTION, generator=seeded(9), dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(action), reference.log_prob(action))


def test_kl_equals_torch_distributions_in_this_direction() -> None:
    (p, p_reference), (q, q_reference) = make_gaussian(0), make_gaussian(1)
    torch.testing.assert_close(p.kl(q), kl_divergence(p_reference, q_reference))
    assert not torch.allclose(p.kl(q), q.kl(p))
    assert torch.equal(p.kl(p), torch.zeros(6, dtype=torch.float64))


def test_log_prob_broadcasts_one_standard_deviation_over_a_batch() -> None:
    mean, log_std = torch.zeros(4, 3, ACTION), torch.tensor([0.0, math.log(2)])
    # at the mean: -log(2 pi) for the two components together, -log 2 for the second
    expected = torch.full((4, 3), -math.log(2 * math.pi) - math.log(2))
    torch.testing.assert_close(Gaussian(mean, log_std).log_prob(mean), expected)


def test_samples_have_the_moments_and_follow_the_seed() -> None:
    dist = Gaussian(
        torch.tensor([1.0, -2.0]).expand(20000, 2), torch.tensor([0.0, math.log(0.1)])
    )
    drawn = dist.sample(seeded(3))
    torch.testing.assert_close(
        drawn.mean(0), torch.tensor([1.0, -2.0]), atol=0.03, rtol=0
    )
    torch.testing.assert_close(
        drawn.std(0), torch.tensor([1.0, 0.1]), atol=0, rtol=0.03
    )
    assert torch.equal(drawn, dist.sample(seeded(3)))
    assert not torch.equal(drawn, dist.sample(seeded(4)))


def test_mapping_over_parameter_sets_equals_a_loop() -> None:
    policy = make_policy()
    rng = seeded(1)
    sets = {
        k: v.detach() + 0.3 * torch.randn(SETS, *v.shape, generator=rng)
        for k, v in policy.named_parameters()
    }
    obs = torch.randn(SETS, 7, OBS, generator=rng)

    def mean_and_std(params: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        dist = functional_call(policy, params, (x,))
        return dist.mean, dist.log_std

    mean, log_std = vmap(mean_and_std)(sets, obs)
    for i in range(SETS):
        alone = mean_and_std({k: v[i] for k, v in sets.items()}, obs[i])
        torch.testing.assert_close(mean[i], alone[0])
        torch.testing.assert_close(log_std[i], alone[1])
    assert not torch.allclose(mean[0], mean[1])


def test_forward_stores_nothing_on_the_module() -> None:
    policy = make_policy()
    modules = list(policy.modules())
    before = [copy.copy(m.__dict__) for m in modules]
    values = {k: v.clone() for k, v in policy.state_dict().items()}
    policy(torch.ones(2, OBS))
    assert [list(m.__dict__) for m in modules] == [list(d) for d in before]
    for module, kept in zip(modules, before, strict=True):
        assert all(module.__dict__[k] is v for k, v in kept.items())
    for name, value in policy.state_dict().items():
        assert torch.equal(value, values[name])


def test_a_fresh_policy_starts_near_zero_with_the_asked_spread() -> None:
    dist = make_policy(initial_std=0.5)(torch.randn(50, OBS, generator=seeded(2)))
    assert dist.mean.abs().max() < 0.05
    torch.testing.assert_close(dist.log_std.exp(), torch.full((ACTION,), 0.5))


def test_the_standard_deviation_has_a_floor() -> None:
    policy = make_policy(min_std=0.2)
    with torch.no_grad():
        policy.log_std.copy_(torch.tensor([-10.0, 0.0]))
    dist = policy(torch.zeros(1, OBS))
    torch.testing.assert_close(dist.log_std.exp(), torch.tensor([0.2, 1.0]))


def test_weights_follow_the_generator_alone() -> None:
    one, same = (Mlp([3, 4, 2], last_gain=1.0, rng=seeded(5)) for _ in range(2))
    torch.manual_seed(123)
    other = Mlp([3, 4, 2], last_gain=1.0, rng=seeded(6))
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one[0].weight, other[0].weight)


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_layers_alternate_linear_and_tanh_and_end_linear(
    hidden: tuple[int, ...],
) -> None:
    mlp = Mlp([OBS, *hidden, ACTION], last_gain=1.0, rng=seeded())
    kinds = [type(layer).__name__ for layer in mlp]
    assert kinds == ["Linear", "Tanh"] * len(hidden) + ["Linear"]
    weight = mlp[0].get_parameter("weight")
    gain = 2.0 if hidden else 1.0  # sqrt(2) squared, orthogonal columns or rows
    gram = weight.T @ weight if len(weight) >= OBS else weight @ weight.T
    torch.testing.assert_close(gram, gain * torch.eye(len(gram)))
