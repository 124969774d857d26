"""The inner loop: against torch's optimisers, finite differences and closed forms."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from meta.inner import Adam, Rule, Sgd, inner_loop
from meta.theta import Params

RULES: dict[str, Rule] = {
    "sgd": Sgd(0.1),
    "momentum": Sgd(0.05, momentum=0.9),
    "adam": Adam(0.05),
    "adam without momentum": Adam(0.05, betas=(0.0, 0.99), eps=1e-3),
}
STEPS = 3


def draw(*shape: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def start() -> Params:
    return {"w": draw(3, 2, seed=0), "b": draw(2, seed=1)}


def batches(seed: int = 2) -> list[tuple[Tensor, Tensor]]:
    """A batch for each step, all of them different."""
    return [
        (draw(5, 3, seed=seed + i), draw(5, 2, seed=seed + 50 + i))
        for i in range(STEPS)
    ]


def loss(params: Params, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return (torch.tanh(x @ params["w"] + params["b"]) - y).square().mean()


def torch_optimizer(rule: Rule, leaves: list[Tensor]) -> torch.optim.Optimizer:
    if isinstance(rule, Sgd):
        return torch.optim.SGD(leaves, lr=rule.rate, momentum=rule.momentum)
    assert isinstance(rule, Adam)
    return torch.optim.Adam(leaves, lr=rule.rate, betas=rule.betas, eps=rule.eps)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_step_is_that_of_torchs_optimiser(rule: Rule) -> None:
    leaves = {k: v.clone().requires_grad_() for k, v in start().items()}
    optimizer = torch_optimizer(rule, list(leaves.values()))
    for count, batch in enumerate(batches(), start=1):
        optimizer.zero_grad()
        loss(leaves, batch).backward()
        optimizer.step()
        adapted = inner_loop(loss, start(), batches()[:count], rule)
        for name, value in adapted.items():
            torch.testing.assert_close(value, leaves[name], rtol=1e-12, atol=1e-14)


def meta_loss(rule: Rule) -> Callable[..., Tensor]:
    """The loss after the inner steps, as a function of what is learned."""

    def outer(w: Tensor, b: Tensor, *log_rates: Tensor) -> Tensor:
        params = {"w": w, "b": b}
        learned = dict(zip("wb", (r.exp() for r in log_rates), strict=False))
        adapted = inner_loop(loss, params, batches(), rule, rates=learned or None)
        return loss(adapted, batches(seed=200)[0])

    return outer


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("learned", [False, True], ids=["fixed", "learned rates"])
def test_meta_gradients_are_those_of_finite_differences(
    rule: Rule, learned: bool
) -> None:
    inputs = [v.requires_grad_() for v in start().values()]
    if learned:
        log_rate = torch.tensor(rule.rate, dtype=torch.float64).log()
        inputs += [
            (log_rate + 0.3 * draw(*v.shape, seed=9)).requires_grad_() for v in inputs
        ]
    assert torch.autograd.gradcheck(meta_loss(rule), inputs, fast_mode=True)


def test_a_quadratic_has_its_closed_forms() -> None:
    """Loss h/2 (w - c)^2: each step takes w - c by 1 - rate h, and so does its
    derivative, which first order takes as 1."""
    h, rate, c, query = 1.7, 0.2, 0.4, -0.9

    def quadratic(params: Params, centre: float) -> Tensor:
        return (h / 2 * (params["w"] - centre).square()).sum()

    for first_order in (False, True):
        w = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
        adapted = inner_loop(
            quadratic, {"w": w}, [c] * 3, Sgd(rate), first_order=first_order
        )
        shrink = (1 - rate * h) ** 3
        expected = c + shrink * (2.0 - c)
        assert adapted["w"].item() == pytest.approx(expected, rel=1e-14)
        (gradient,) = torch.autograd.grad(quadratic(adapted, query), w)
        slope = h * (expected - query)
        factor = 1 if first_order else shrink
        assert gradient.item() == pytest.approx(factor * slope, rel=1e-14)


def test_the_first_order_of_learned_rates_is_that_of_the_last_gradients() -> None:
    """Two steps on w^2 / 2 from 1: phi = 1 - r g1 - r g2 with constant gradients."""

    def half_square(params: Params, _: None) -> Tensor:
        return params["w"].square().sum() / 2

    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    adapted = inner_loop(
        half_square,
        {"w": torch.ones(1, dtype=torch.float64)},
        [None] * 2,
        Sgd(0.0),
        rates={"w": rate},
        first_order=True,
    )
    (gradient,) = torch.autograd.grad(adapted["w"].sum(), rate)
    assert gradient.item() == pytest.approx(-(1 + 0.9), rel=1e-14)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_many_tasks_at_once_are_each_as_alone(rule: Rule) -> None:
    tasks = 3
    params = {k: v.requires_grad_() for k, v in start().items()}
    each = [batches(seed=300 * t) for t in range(tasks)]
    together = [
        tuple(torch.stack([each[t][step][i] for t in range(tasks)]) for i in range(2))
        for step in range(STEPS)
    ]

    def adapt(p: Params, b: list[tuple[Tensor, Tensor]]) -> Params:
        return inner_loop(loss, p, b, rule)

    def gradients(adapted: Params) -> tuple[Tensor, ...]:
        total = sum(v.square().sum() for v in adapted.values())
        assert isinstance(total, Tensor)
        return torch.autograd.grad(total, list(params.values()))

    mapped = vmap(adapt, in_dims=(None, 0))(params, together)
    alone = [adapt(params, b) for b in each]
    stacked = {k: torch.stack([a[k] for a in alone]) for k in params}
    torch.testing.assert_close(mapped, stacked, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        gradients(mapped), gradients(stacked), rtol=1e-10, atol=1e-12
    )


def test_adam_has_a_meta_gradient_where_a_unit_is_off() -> None:
    """A dead unit's gradient is 0, where the root of its square has no derivative."""

    def through_relu(params: Params, _: None) -> Tensor:
        hidden = torch.tanh(params["below"])
        return ((params["above"] * hidden - 1).relu() - 1).square().sum()

    below = torch.tensor([0.5, 0.9], requires_grad=True)
    params = {"below": below, "above": torch.tensor([0.1, 3.0])}
    adapted = inner_loop(through_relu, params, [None] * 3, Adam(0.1))
    assert adapted["above"][0] == params["above"][0]
    # through the dead unit's own weight, too
    total = sum(v.sum() for v in adapted.values())
    assert isinstance(total, Tensor)
    (gradient,) = torch.autograd.grad(total, below)
    assert gradient.isfinite().all()
    assert gradient[1] != 1


def test_no_step_changes_nothing() -> None:
    assert inner_loop(loss, params := start(), [], Adam(0.1)) is params


@pytest.mark.parametrize(
    ("rule", "change", "message"),
    [
        (Sgd(0.1), {"rate": -1.0}, "need rate >= 0 and 0 <= momentum < 1, got -1.0"),
        (Sgd(0.1), {"momentum": 1.0}, "got 0.1, 1.0"),
        (Sgd(0.1), {"rate": float("nan")}, "got nan"),
        (Adam(0.1), {"betas": (0.9, 1.0)}, "betas in"),
        (Adam(0.1), {"eps": 0.0}, "eps > 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    rule: Sgd | Adam, change: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(rule, **change)
