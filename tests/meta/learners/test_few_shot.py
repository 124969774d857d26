"""Few-shot learners: meta-gradients, relatives of MAML, and modules of every kind."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss

from meta.inner import Adam, Rule, Seen, Sgd
from meta.learners.few_shot import Maml, Reptile
from meta.theta import Params
from tasks.supervised.contract import Examples, Shots
from tasks.supervised.sinusoid import Sinusoid

TASKS = 3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def waves(tasks: int = TASKS) -> Shots:
    rng = torch.Generator().manual_seed(1)
    shots = Sinusoid().sample("train", tasks, rng, shots=4, queries=6)
    support, query = (Examples(e.x.double(), e.y.double()) for e in shots)
    return Shots(support, query)


def one(examples: Examples, task: int) -> Examples:
    return Examples(examples.x[task], examples.y[task])


def by_hand(
    module: nn.Module, rule: Rule, steps: int, task: int, *, first_order: bool = False
) -> tuple[Params, Tensor]:
    """A task's adapted parameters and query loss, by autograd and without vmap."""
    support, query = (one(e, task) for e in waves())
    params: Params = {k: v for k, v in module.named_parameters()}
    state = rule.begin(params)
    for step in range(1, steps + 1):
        loss = mse_loss(functional_call(module, params, (support.x,)), support.y)
        gradients = torch.autograd.grad(
            loss, list(params.values()), create_graph=not first_order
        )
        named = dict(zip(params, gradients, strict=True))
        directions, state = rule.direction(Seen(params, named, loss, step), state)
        params = {k: v - rule.rate * directions[k] for k, v in params.items()}
    return params, mse_loss(functional_call(module, params, (query.x,)), query.y)


def gradients(loss: Tensor, module: nn.Module) -> dict[str, Tensor]:
    named = dict(module.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()))
    return dict(zip(named, found, strict=True))


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize(
    "rule", [Sgd(0.1), Sgd(0.05, momentum=0.5), Adam(0.05)], ids=repr
)
def test_maml_is_a_loop_over_tasks_by_autograd(rule: Rule, first_order: bool) -> None:
    module = network()
    learner = Maml(module, mse_loss, rule, steps=3, first_order=first_order)
    losses = learner(*waves())
    adapted = learner.adapt(waves().support)
    expected = [
        by_hand(module, rule, 3, t, first_order=first_order) for t in range(TASKS)
    ]
    torch.testing.assert_close(losses, torch.stack([loss for _, loss in expected]))
    for name, value in adapted.items():
        hand = torch.stack([params[name] for params, _ in expected])
        torch.testing.assert_close(value, hand)
    torch.testing.assert_close(
        gradients(losses.mean(), module),
        gradients(torch.stack([loss for _, loss in expected]).mean(), module),
    )


def test_first_order_is_the_query_gradient_at_the_adapted_parameters() -> None:
    module = network()
    learner = Maml(module, mse_loss, Sgd(0.1), steps=2, first_order=True)
    support, query = waves(1)
    found = gradients(learner(support, query).sum(), module)
    adapted = copy.deepcopy(module)
    adapted.load_state_dict({k: v[0] for k, v in learner.adapt(support).items()})
    loss = mse_loss(adapted(query.x[0]), query.y[0])
    torch.testing.assert_close(found, gradients(loss, adapted))
    second = gradients(
        Maml(module, mse_loss, Sgd(0.1), steps=2)(support, query).sum(), module
    )
    assert not torch.allclose(found["0.weight"], second["0.weight"], rtol=1e-3)


def finite_difference(of: Callable[[], Tensor], value: Tensor, index: int) -> float:
    flat, small, ends = value.detach().view(-1), 1e-6, []
    kept = flat[index].item()
    for shift in (small, -small):
        flat[index] = kept + shift
        ends.append(of().item())
    flat[index] = kept
    return (ends[0] - ends[1]) / (2 * small)


@pytest.mark.parametrize("rule", [Sgd(0.1, momentum=0.9), Adam(0.02)], ids=repr)
def test_meta_sgd_learns_its_step_sizes_by_the_true_gradient(rule: Rule) -> None:
    learner = Maml(network(), mse_loss, rule, steps=2, learn_rates=True).double()
    assert {k for k, _ in learner.log_rates.items()} == {
        f"{layer}/{kind}" for layer in "02" for kind in ("weight", "bias")
    }
    assert learner.log_rates["0/weight"].shape == (5, 1)
    torch.testing.assert_close(
        learner.log_rates["2/bias"].exp().item(), rule.rate, rtol=1e-6, atol=0
    )

    fixed = Maml(learner.module, mse_loss, rule, steps=2).adapt(waves().support)
    torch.testing.assert_close(
        learner.adapt(waves().support), fixed, rtol=1e-6, atol=1e-6
    )

    def meta_loss() -> Tensor:
        return learner(*waves()).mean()

    found = gradients(meta_loss(), learner)
    assert len(found) == 8
    for name, value in learner.named_parameters():
        slope = finite_difference(meta_loss, value, -1)
        assert found[name].view(-1)[-1].item() == pytest.approx(
            slope, rel=1e-5, abs=1e-9
        )


def test_anil_adapts_the_head_alone() -> None:
    module = network()
    learner = Maml(module, mse_loss, Sgd(0.1), adapts=("2",))
    adapted = learner.adapt(waves().support)
    assert set(adapted) == {"2.weight", "2.bias"}
    assert adapted["2.weight"].shape == (TASKS, 1, 5)
    # the body is learned all the same, through the adapted head
    assert gradients(learner(*waves()).mean(), module)["0.weight"].abs().min() > 0
    whole = Maml(module, mse_loss, Sgd(0.1)).adapt(waves().support)
    torch.testing.assert_close(adapted["2.bias"], whole["2.bias"])


class Contextual(nn.Module):
    """Reads a context beside its input, as CAVIA does."""

    def __init__(self) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.zeros(3), requires_grad=False)
        self.body = network()
        self.body[0] = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(torch.cat([x, self.context.expand(*x.shape[:-1], 3)], -1))


def test_cavia_adapts_a_context_and_learns_the_rest() -> None:
    module = Contextual().double()
    learner = Maml(module, mse_loss, Sgd(1.0), steps=2, adapts=["context"])
    adapted = learner.adapt(waves().support)
    assert {k: v.shape for k, v in adapted.items()} == {"context": (TASKS, 3)}
    learner(*waves()).mean().backward()
    assert module.context.grad is None
    assert all(p.grad is not None for p in module.body.parameters())


def test_predictions_and_more_steps_than_in_training() -> None:
    module, (support, query) = network(), waves()
    learner = Maml(module, mse_loss, Sgd(0.1))
    with torch.no_grad():
        none, many = (learner.adapt(support, steps=k) for k in (0, 40))
        unadapted = learner.predict(none, query.x)
        torch.testing.assert_close(unadapted, module(query.x))
        assert not any(v.requires_grad for v in many.values())
        before, after = (
            mse_loss(learner.predict(p, support.x), support.y) for p in (none, many)
        )
    assert after < before
    assert not any("adapted" in name for name in learner.state_dict())


def test_reptile_moves_to_the_mean_of_the_adapted_parameters() -> None:
    """theta <- theta + rate * mean(phi - theta), by SGD on its loss; minibatches by
    hand: every other example of the support and query sets in a row."""
    module, rate = network(), 0.3
    learner = Reptile(module, mse_loss, Sgd(0.1), steps=3, minibatches=2)
    support, query = waves()
    before = {k: v.detach().clone() for k, v in module.named_parameters()}
    adapted = []
    for task in range(TASKS):
        x, y = (
            torch.cat([s[task], q[task]]) for s, q in zip(support, query, strict=True)
        )
        copied = copy.deepcopy(module)
        inner = torch.optim.SGD(copied.parameters(), lr=0.1)
        for part in (0, 1, 0):
            inner.zero_grad()
            mse_loss(copied(x[part::2]), y[part::2]).backward()
            inner.step()
        adapted.append(dict(copied.named_parameters()))
    optimizer = torch.optim.SGD(learner.parameters(), lr=rate)
    learner(support, query).mean().backward()
    optimizer.step()
    for name, value in module.named_parameters():
        mean = torch.stack([a[name] for a in adapted]).mean(0)
        expected = before[name] + rate * (mean - before[name])
        torch.testing.assert_close(value.detach(), expected.detach())


class Normalised(nn.Sequential):
    def __init__(self, **settings: bool) -> None:
        torch.manual_seed(0)
        norm = nn.BatchNorm1d(4, **settings)
        super().__init__(nn.Linear(1, 4), norm, nn.ReLU(), nn.Linear(4, 1))


def test_running_statistics_are_refused_in_training_and_constants_otherwise() -> None:
    module = Normalised().double()
    support, query = waves()
    for learner in (
        Maml(module, mse_loss, Sgd(0.1)),
        Reptile(module, mse_loss, Sgd(0.1)),
    ):
        learner.train()
        for call in (
            lambda m=learner: m(support, query),
            lambda m=learner: m.adapt(support),
            lambda m=learner: m.predict({}, query.x),
        ):
            with pytest.raises(
                ValueError, match=r"^1 .BatchNorm1d. would mix all tasks"
            ):
                call()
        learner.eval()
        assert learner(support, query).isfinite().all()
    assert module[1].num_batches_tracked == 0


def test_statistics_of_the_batch_are_each_tasks_own() -> None:
    module = Normalised(track_running_stats=False).double()
    learner = Maml(module, mse_loss, Sgd(0.1))
    support, query = waves()
    whole = learner(support, query)
    alone = torch.cat(
        [
            learner(*(Examples(e.x[[t]], e.y[[t]]) for e in (support, query)))
            for t in range(TASKS)
        ]
    )
    torch.testing.assert_close(whole, alone)


class Counting(nn.Linear):
    """Writes into a buffer as it is called."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(input)


def test_a_module_that_writes_into_a_buffer_is_refused() -> None:
    with pytest.raises(RuntimeError, match="in-place"):
        Maml(Counting().double(), mse_loss, Sgd(0.1))(*waves())


def test_dropout_differs_between_tasks() -> None:
    module = nn.Sequential(nn.Linear(1, 32), nn.Dropout(0.5), nn.Linear(32, 1)).double()
    learner = Maml(module, mse_loss, Sgd(0.0))
    same = torch.ones(2, 1, 1, dtype=torch.float64)
    first, second = learner.predict(learner.adapt(Examples(same, same)), same)
    assert first != second


def test_classification_with_convolutions_learns() -> None:
    """Two classes, a bright left or right half, whose numbers are swapped by task."""
    torch.manual_seed(0)
    x = torch.zeros(4, 4, 1, 4, 4)
    x[:, ::2, ..., :2], x[:, 1::2, ..., 2:] = 1.0, 1.0
    swapped = torch.tensor([0, 1, 0, 1])[:, None]
    examples = Examples(x, (torch.arange(4) + swapped) % 2)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )
    learner = Maml(module, cross_entropy, Sgd(0.5), steps=2)
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        learner(examples, examples).mean().backward()
        optimizer.step()
    logits = learner.predict(learner.adapt(examples), examples.x)
    assert (logits.argmax(-1) == examples.y).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adapts": ("head",)}, "nothing to adapt in 'head'; parameters: 0.weight"),
        ({"adapts": ("0", "0.weigh")}, "nothing to adapt in '0.weigh'"),
        ({"steps": -1}, "need a whole number of steps >= 0, got -1"),
        ({"rule": Sgd(0.0), "learn_rates": True}, "need rate > 0, got 0.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Maml(network(), mse_loss, **({"rule": Sgd(0.1)} | settings))


def test_a_loss_per_example_and_sets_of_other_tasks_are_refused() -> None:
    network = nn.Linear(1, 1)
    rng = torch.Generator().manual_seed(0)
    support, query = Sinusoid().sample("train", 3, rng, shots=4, queries=4)
    unreduced = Maml(network, lambda p, y: (p - y).square(), Sgd(0.1))
    for refused in (unreduced.adapt, lambda s: unreduced(s, query)):
        with pytest.raises(ValueError, match=r"got shape \(4, 1\): take its mean"):
            refused(support)
    fewer = Examples(query.x[:2], query.y[:2])
    with pytest.raises(ValueError, match="3 tasks and a query set of 2"):
        Maml(network, mse_loss, Sgd(0.1))(support, fewer)


def test_minibatches_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="need minibatches >= 1, got 0"):
        Reptile(network(), mse_loss, Sgd(0.1), minibatches=0)
    with pytest.raises(ValueError, match="11 minibatches of 10 examples are too many"):
        Reptile(network(), mse_loss, Sgd(0.1), minibatches=11)(*waves())
    with pytest.raises(ValueError, match="need a whole number of steps >= 0, got -2"):
        Maml(network(), mse_loss, Sgd(0.1)).adapt(waves().support, steps=-2)
