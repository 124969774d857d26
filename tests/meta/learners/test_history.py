"""Summaries of a history: what they keep apart, and what leaves them the same."""

import math

import pytest
import torch
from torch import Tensor

from meta.learners.history import History, PlainMean, WeighedMeans
from meta.theta import Params

FEATURES, HIDDEN = 3, 8
KINDS = [PlainMean, WeighedMeans]


def made(kind: type[PlainMean | WeighedMeans]) -> History:
    return kind(FEATURES, HIDDEN, 2, torch.Generator().manual_seed(0))


def weights(history: History):
    def of(part: str) -> Params:
        return dict(history.parts()[part].named_parameters())

    return of


def steps(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, FEATURES, generator=torch.Generator().manual_seed(seed))


def after(history: History, x: Tensor, valid: Tensor | None = None) -> Tensor:
    """The memory after whole episodes [task, episode, time, feature]."""
    own = weights(history)
    valid = torch.ones(x.shape[:-1]) if valid is None else valid
    lived = history.step(own, x, valid)
    empty = torch.zeros(len(x), history.width)
    return history.episodes(own, empty, lived.sum(2))


def inferred(history: History, memory: Tensor) -> Tensor:
    return history.infer(weights(history), memory)


@pytest.mark.parametrize("kind", KINDS)
def test_an_episode_tells_the_same_under_way_and_when_it_is_over(
    kind: type[PlainMean | WeighedMeans],
) -> None:
    history = made(kind)
    x, own = steps(4, 3, 5), weights(history)
    closed = after(history, x)
    before, third = (
        after(history, x[:, :2]),
        history.step(own, x[:, 2], torch.ones(4, 5)).sum(1),
    )
    under_way = history.add(before, third)
    torch.testing.assert_close(inferred(history, under_way), inferred(history, closed))
    # told apart, they need not be laid together
    assert history.infer(own, before, third).equal(inferred(history, under_way))
    assert closed[:, -1].tolist() == [15.0] * 4
    assert under_way[:, -1].tolist() == [15.0] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_order_does_not_count_and_absent_steps_neither(
    kind: type[PlainMean | WeighedMeans],
) -> None:
    history, x = made(kind), steps(4, 3, 5)
    whole = inferred(history, after(history, x))
    for other in (x.flip(1), x.flip(2)):
        torch.testing.assert_close(inferred(history, after(history, other)), whole)
    valid = torch.ones(4, 3, 5)
    valid[:, 2], valid[:, 1, 3:] = 0, 0
    # an episode that was left out, and one that ended early
    absent = inferred(history, after(history, x, valid))
    changed = torch.where(valid[..., None] > 0, x, 100 * steps(4, 3, 5, seed=2))
    assert inferred(history, after(history, changed, valid)).equal(absent)
    assert not absent.allclose(whole)
    nothing = inferred(history, after(history, x, torch.zeros(4, 3, 5)))
    assert nothing.isfinite().all()
    assert nothing.equal(inferred(history, torch.zeros(4, history.width)))


def test_what_was_done_stays_with_what_came_of_it() -> None:
    """Two episodes of two steps: done, then met; the same steps paired otherwise."""
    done, met = steps(1, 2, 1), steps(1, 2, 1, seed=2)
    paired = torch.cat([done, met], dim=2)
    otherwise = torch.cat([done, met.flip(1)], dim=2)
    for kind, same in ((PlainMean, True), (WeighedMeans, False)):
        history = made(kind)
        a, b = (inferred(history, after(history, x)) for x in (paired, otherwise))
        assert a.allclose(b) == same


def test_means_are_weighed_as_learned() -> None:
    """Steps that weigh e^w each: the closed form of both means."""
    history = made(WeighedMeans)
    x = steps(1, 2, 4)
    with torch.no_grad():
        raw = history.summary(x)
        found, weight = raw[..., :HIDDEN].tanh(), raw[..., HIDDEN:].exp()
        each = (found * weight).sum(2) / weight.sum(2)
        count = torch.full((1, 2, 1), 4.0)
        assert isinstance(history, WeighedMeans)
        raw = history.episode(torch.cat([each, 0.2 * count.log1p()], -1))
        found, weight = raw[..., :HIDDEN].tanh(), raw[..., HIDDEN:].exp()
        mean = (found * weight).sum(1) / weight.sum(1)
        total = torch.full((1, 1), 8.0)
        wanted = history.head(torch.cat([mean, 0.2 * total.log1p()], -1))
    torch.testing.assert_close(inferred(history, after(history, x)), wanted)


def test_one_step_that_tells_is_heard_among_many() -> None:
    """Gradient descent learns to hear it where all that counts alike is not enough."""
    rng = torch.Generator().manual_seed(0)
    told = torch.randn(64, 1, generator=rng)
    x = 0.1 * torch.randn(64, 1, 300, FEATURES, generator=rng)
    x[:, 0, -1, 0], x[:, 0, -1, 1] = told[:, 0], 3.0
    errors: list[float] = []
    for kind in KINDS:
        history = kind(FEATURES, HIDDEN, 1, torch.Generator().manual_seed(1))
        leaves = [p for m in history.parts().values() for p in m.parameters()]
        optimizer = torch.optim.Adam(leaves, lr=1e-2)
        for _ in range(150):
            loss = (inferred(history, after(history, x)) - told).square().mean()
            errors.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    plain, weighed = errors[149], errors[-1]
    assert weighed < 0.05 * told.square().mean()
    assert plain > 5 * weighed


def test_one_step_outweighs_a_million_others_at_most() -> None:
    """However great its learned weight: the weights' logarithms lie within +-7."""
    history, x = made(WeighedMeans), steps(1, 2, 1)
    own = {part: dict(weights(history)(part)) for part in history.parts()}
    last = max(name for name in own["summary"] if name.endswith("weight"))
    # a step's log-weights are the second half of what the summary says
    own["summary"][last] = torch.cat(
        [own["summary"][last][:HIDDEN], 1e4 * own["summary"][last][HIDDEN:]]
    )
    opened = history.step(lambda part: own[part], x, torch.ones(1, 2, 1))
    weight = opened[..., HIDDEN : 2 * HIDDEN]
    assert weight.isfinite().all()
    assert weight.max().item() == pytest.approx(math.exp(7), rel=1e-4)
    assert weight.min().item() == pytest.approx(math.exp(-7), rel=1e-4)
