"""A learned update rule: its gradients, and the rules that it can be."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad_and_value, stack_module_state
from torch.nn.functional import cross_entropy, mse_loss

from meta.inner import Adam, Rule, Seen, Sgd, inner_loop
from meta.learners.few_shot import Maml
from meta.learners.update_rule import LearnedRule, RuleLearner
from meta.theta import Params
from tasks.supervised.contract import Examples, Shots
from tasks.supervised.sinusoid import Sinusoid

TASKS, STEPS = 3, 4


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def waves(tasks: int = TASKS) -> Shots:
    rng = torch.Generator().manual_seed(1)
    shots = Sinusoid().sample("train", tasks, rng, shots=4, queries=6)
    support, query = (Examples(e.x.double(), e.y.double()) for e in shots)
    return Shots(support, query)


def any_rule() -> LearnedRule:
    """A rule all of whose weights matter."""
    torch.manual_seed(2)
    rule = LearnedRule(0.05, hidden=6).double()
    with torch.no_grad():
        for value in rule.parameters():
            value += 0.1 * torch.randn_like(value)
    return rule


def learner(rule: Rule | None = None, **settings: bool) -> RuleLearner:
    torch.manual_seed(0)
    return RuleLearner(network(), mse_loss, rule or any_rule(), steps=STEPS, **settings)


def rule_of(made: RuleLearner) -> LearnedRule:
    assert isinstance(made.rule, LearnedRule)
    return made.rule


def starts(tasks: int = TASKS) -> Params:
    torch.manual_seed(3)
    stacked, _ = stack_module_state([network() for _ in range(tasks)])
    return {k: v.detach() for k, v in stacked.items()}


def slope(of: Callable[[], Tensor], value: Tensor, along: Tensor) -> float:
    kept, small, ends = value.detach().clone(), 1e-6, []
    with torch.no_grad():
        for shift in (small, -small):
            value.copy_(kept + shift * along)
            ends.append(of().item())
        value.copy_(kept)
    return (ends[0] - ends[1]) / (2 * small)


@pytest.mark.parametrize("given", [False, True], ids=["learned start", "given start"])
def test_gradients_are_those_of_finite_differences(given: bool) -> None:
    made, start = learner(), starts() if given else None

    def meta_loss() -> Tensor:
        return made(*waves(), start).mean()

    meta_loss().backward()
    learned = dict((rule_of(made) if given else made).named_parameters())
    assert len(learned) == (7 if given else 11)
    torch.manual_seed(4)
    for name, value in learned.items():
        along = torch.randn_like(value)
        assert value.grad is not None
        found = (value.grad * along).sum().item()
        assert found != 0, name
        expected = slope(meta_loss, value, along)
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-8), name


def quadratic(params: Params, goal: Tensor) -> Tensor:
    return (params["w"] * params["b"] - goal).square().sum() + 0.1


def quadratic_start() -> tuple[Params, Tensor]:
    torch.manual_seed(5)
    w, b, goal = torch.randn(3, 4, 3).double()
    return {"w": w, "b": b}, goal


def test_an_untrained_rule_is_adam() -> None:
    start, goal = quadratic_start()
    for steps in (1, 7):
        found, adam = (
            inner_loop(quadratic, start, [goal] * steps, rule)
            for rule in (LearnedRule(0.03).double(), Adam(0.03))
        )
        torch.testing.assert_close(found, adam)


def test_a_rule_set_by_hand_is_gradient_descent() -> None:
    """The direction is a gradient over its tensor's size, the magnitude that size."""
    rule, (start, goal) = LearnedRule(0.03).double(), quadratic_start()
    with torch.no_grad():
        rule.direct.weight.zero_()
        rule.direct.weight[0, 4] = rule.direct.weight[1, 6] = 1.0
    found, descent = (
        inner_loop(quadratic, start, [goal] * 6, r) for r in (rule, Sgd(0.03))
    )
    torch.testing.assert_close(found, descent)


def test_coordinates_that_change_places_take_their_updates_along() -> None:
    rule, (start, goal) = any_rule(), quadratic_start()
    order = torch.randperm(start["w"].numel())
    moved = {k: v.flatten()[order].view(v.shape) for k, v in start.items()}
    there = goal.flatten()[order].view(goal.shape)
    found = inner_loop(quadratic, moved, [there] * 3, rule)
    plain = inner_loop(quadratic, start, [goal] * 3, rule)
    for name, value in plain.items():
        torch.testing.assert_close(found[name].flatten(), value.flatten()[order])
        assert (value - start[name]).unique().numel() == value.numel()


def test_it_reads_loss_step_and_parameters() -> None:
    rule, (start, _) = any_rule(), quadratic_start()
    gradients = {k: v.cos() for k, v in start.items()}
    loss = torch.tensor(2.0).double()

    def moves(seen: Seen) -> Tensor:
        directions, _ = rule.direction(seen, rule.begin(start))
        return torch.cat([v.flatten() for v in directions.values()])

    plain = Seen(start, gradients, loss, 1)
    others = (
        plain._replace(loss=2 * loss),
        plain._replace(step=9),
        plain._replace(params={k: v + 0.3 for k, v in start.items()}),
    )
    for other in others:
        assert (moves(other) - moves(plain)).abs().min() > 1e-9
    with torch.no_grad():
        rule.deep[-1].weight.zero_()  # pyright: ignore
        rule.direct.weight.zero_()
        rule.direct.weight[:, -1] = torch.tensor([1.0, 0.0])
        rule.direct.bias.zero_()
    read = moves(plain._replace(step=9))
    torch.testing.assert_close(read, torch.full_like(read, math.log(9)))


@pytest.mark.parametrize("given", [False, True], ids=["learned start", "given start"])
def test_all_tasks_at_once_are_each_as_alone(given: bool) -> None:
    made, sets, start = learner(), waves(), starts() if given else None
    together = made.losses(*sets, start=start)
    assert together.shape == (TASKS, STEPS)
    torch.testing.assert_close(made(*sets, start), together.mean(1))
    alone = []
    for t in range(TASKS):
        own = start and {k: v[[t]] for k, v in start.items()}
        one = [Examples(e.x[[t]], e.y[[t]]) for e in sets]
        alone.append(made.losses(*one, start=own))
    torch.testing.assert_close(torch.cat(alone), together)


def test_adapted_parameters_have_the_losses_of_the_last_step() -> None:
    made, (support, query) = learner(), waves()
    for steps in (1, 2 * STEPS):
        adapted = made.adapt(support, steps, start=starts())
        assert adapted["2.weight"].shape == (TASKS, 1, 5)
        predicted = made.predict(adapted, query.x)
        each = (predicted - query.y).square().mean((1, 2))
        losses = made.losses(support, query, steps, start=starts())
        assert losses.shape == (TASKS, steps)
        torch.testing.assert_close(losses[:, -1], each)
    none = made.adapt(support, 0)
    torch.testing.assert_close(made.predict(none, query.x), made.module(query.x))


def test_it_is_a_rule_for_maml_too() -> None:
    made, sets = learner(), waves()
    maml = Maml(made.module, mse_loss, made.rule, steps=STEPS)
    assert len(list(maml.parameters())) == 11
    torch.testing.assert_close(maml(*sets), made.losses(*sets)[:, -1])


def test_the_start_is_learned_unless_told_otherwise() -> None:
    for learn_start in (True, False):
        made = learner(learn_start=learn_start)
        made(*waves()).mean().backward()
        assert all(
            (p.grad is not None) == learn_start for p in made.module.parameters()
        )
        assert all(p.grad is not None for p in rule_of(made).parameters())


def test_a_rule_moves_modules_of_another_kind_and_size() -> None:
    rule = rule_of(learner()).float()
    head = nn.Linear(64, 2)
    images = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), head)
    x, y = torch.randn(2, 6, 1, 4, 4), torch.arange(6).expand(2, 6) % 2
    other = RuleLearner(images, cross_entropy, rule, steps=2, adapts=["3"])
    adapted = other.adapt(Examples(x, y))
    assert {k: v.shape for k, v in adapted.items()} == {
        "3.weight": (2, 2, 64),
        "3.bias": (2, 2),
    }
    assert (adapted["3.weight"] - head.weight).abs().min() > 0


def test_gradients_of_zero_are_no_trouble() -> None:
    """A unit that is switched off has them at every step."""
    first = nn.Linear(1, 5)
    nn.init.constant_(first.bias[:1], -100.0)
    dead = nn.Sequential(first, nn.ReLU(), nn.Linear(5, 1)).double()
    made = RuleLearner(dead, mse_loss, any_rule(), steps=STEPS)
    adapted = made.adapt(waves().support)
    (made(*waves()).sum() + adapted["2.bias"].sum()).backward()
    assert all(v.isfinite().all() for v in adapted.values())
    for value in made.parameters():
        assert value.grad is not None
        assert value.grad.isfinite().all()


def test_losses_of_either_sign_are_no_trouble() -> None:
    made = RuleLearner(
        network(), lambda p, y: mse_loss(p, y) - 100, any_rule(), steps=STEPS
    )
    made(*waves()).mean().backward()
    for value in rule_of(made).parameters():
        assert value.grad is not None
        assert value.grad.isfinite().all()


def test_a_state_dict_keeps_the_step_size_and_the_latest_step() -> None:
    rule = LearnedRule(0.1, latest=2).double()
    with torch.no_grad():
        rule.direct.weight[1, -1] = 1.0
    saved, other = learner(rule), learner(LearnedRule().double())
    other.load_state_dict(saved.state_dict())
    assert rule_of(other).rate == 0.1
    torch.testing.assert_close(other(*waves()), saved(*waves()))


def test_a_state_dict_of_before_has_the_step_size_alone() -> None:
    rule = LearnedRule(0.1, latest=7)
    rule.set_extra_state(torch.tensor(0.2, dtype=torch.float64))
    assert rule.get_extra_state().tolist() == pytest.approx([0.2, 7])


def test_beyond_the_latest_step_it_reads_no_later_one() -> None:
    """But a running mean is still made whole by the true number of steps."""
    start, goal = quadratic_start()
    found: list[Params] = []
    for latest in (3, 100):
        rule = LearnedRule(0.05, latest=latest).double()
        with torch.no_grad():
            rule.direct.weight[1, -1] = -1.0  # divides steps by their number
        found += [inner_loop(quadratic, start, [goal] * n, rule) for n in (3, 5)]
    torch.testing.assert_close(found[0], found[2])
    adam = [Adam(0.05 / n) for n in (1, 2, 3, 3, 3)]
    params, state = start, adam[0].begin(start)
    for step, one in enumerate(adam, start=1):
        gradients, loss = grad_and_value(quadratic)(params, goal)
        way, state = one.direction(Seen(params, gradients, loss, step), state)
        params = {k: v - one.rate * way[k] for k, v in params.items()}
    torch.testing.assert_close(found[1], params)
    assert (found[3]["w"] - params["w"]).abs().min() > 1e-6


def test_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    rule = LearnedRule(0.02, hidden=8).double()
    made, (support, _), start = learner(rule), waves(8), starts(8)
    optimizer = torch.optim.Adam(rule.parameters(), lr=2e-2)
    before = made(support, support, start).mean().item()
    for _ in range(15):
        optimizer.zero_grad()
        made(support, support, start).mean().backward()
        optimizer.step()
    assert made(support, support, start).mean().item() < 0.8 * before


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"need rate, hidden and latest > 0, got 0.0, 16"
    ):
        LearnedRule(0.0)
    with pytest.raises(ValueError, match=r"hidden and latest > 0, got 0.1, 0 and"):
        LearnedRule(0.1, hidden=0)
    with pytest.raises(ValueError, match=r"latest > 0, got 0.1, 16 and 0"):
        LearnedRule(0.1, latest=0)
    with pytest.raises(ValueError, match="need steps >= 1, got 0"):
        RuleLearner(network(), mse_loss, any_rule(), steps=0)
    made, sets = learner(), waves()
    with pytest.raises(ValueError, match="need a whole number of steps >= 0, got -1"):
        made.adapt(sets.support, -1)
    with pytest.raises(ValueError, match="nothing to adapt in 'head'"):
        RuleLearner(network(), mse_loss, any_rule(), adapts=["head"])
    short = {k: v for k, v in starts().items() if k != "0.bias"}
    with pytest.raises(ValueError, match=r"start has 0.weight, 2.bias, 2.weight; what"):
        made(*sets, short)
