"""Memories of earlier pieces: closed forms, finite differences, schedules."""

from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from meta.continual.training.cloning import Cloning, Rehearsal
from meta.continual.training.ewc import Ewc, fisher_information
from meta.continual.training.memory import Memory, Moment, Schedule, Together
from meta.continual.training.replay import Replay
from meta.experience.rollout import Experience
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.theta import Theta
from policies.gaussian import Gaussian

OBS, ACTION = 2, 2
STD = torch.tensor([0.5, 0.2])


class Linear(nn.Module):
    """A Gaussian policy whose mean is linear."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(OBS, ACTION)
        self.log_std = nn.Parameter(STD.log())

    def forward(self, obs: Tensor) -> Gaussian:
        return Gaussian(self.mean(obs), self.log_std)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(seed: int, tasks: int = 3) -> Experience:
    """Random experience, whose last step is none."""
    rng = seeded(seed)
    shape = (tasks, 2, 4)
    valid = torch.ones(shape)
    valid[:, :, -1] = 0
    mean = torch.randn(*shape, ACTION, generator=rng)
    return Experience(
        obs=torch.randn(*shape, OBS, generator=rng),
        next_obs=torch.randn(*shape, OBS, generator=rng),
        action=torch.randn(*shape, ACTION, generator=rng),
        old=Gaussian(mean, STD.log().expand_as(mean)),
        reward=torch.randn(shape, generator=rng),
        valid=valid,
    )


def made(inner_steps: int = 0) -> tuple[Maml, Theta]:
    torch.manual_seed(0)
    learner = Maml(MamlCfg(inner_steps=inner_steps), Linear())
    theta = learner.initial(OBS)
    learner.trainable(theta)
    return learner, theta


def moment(piece: int, pieces: int = 3, iteration: int = 5, **other: bool) -> Moment:
    where = {"first": False, "last": True} | other
    return Moment(iteration, piece, pieces, 0.5, where["first"], where["last"])


def moved(theta: Theta, seed: int) -> Theta:
    """Other values of what is trained."""
    rng = seeded(seed)
    return {
        k: (v + 0.1 * torch.randn(v.shape, generator=rng)).detach().requires_grad_()
        if v.requires_grad
        else v
        for k, v in theta.items()
    }


# -- elastic weight consolidation ------------------------------------------------------


def test_fisher_information_of_a_gaussian_policy_is_the_closed_form() -> None:
    learner, theta = made()
    e = drawn(0)
    draws = 4000
    found = fisher_information(learner, theta, [e], seeded(1), draws)
    x = e.obs[e.valid > 0]
    expected = {
        "policy/mean.weight": x.square().mean(0) / STD[:, None].square(),
        "policy/mean.bias": 1 / STD.square(),
        "policy/log_std": torch.full((ACTION,), 2.0),
    }
    assert set(found) == set(expected)
    error = 5 * (2 / draws) ** 0.5
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=error), name


def ewc_after_two(learner: Maml, theta: Theta) -> tuple[Ewc, Theta, list[Theta]]:
    memory, kept, anchors = Ewc(learner, 7.0), {}, []
    for piece in range(2):
        theta = moved(theta, piece)
        kept = memory.learned(
            kept, theta, moment(piece), [drawn(piece)], seeded(10 + piece)
        )
        anchors.append(theta)
    return memory, kept, anchors


def penalty(learner: Maml, anchors: Sequence[Theta], theta: Theta) -> Tensor:
    """hold / 2 * sum_k sum_i F_ki (theta_i - theta_ki)^2, term by term."""
    total = torch.zeros((), dtype=torch.float64)
    for piece, anchor in enumerate(anchors):
        fisher = fisher_information(learner, anchor, [drawn(piece)], seeded(10 + piece))
        for name in ("policy/mean.weight", "policy/mean.bias"):
            away = (theta[name] - anchor[name]).double().square()
            total = total + 7.0 / 2 * (fisher[name] * away).sum()
    return total


def test_the_penalty_is_that_of_every_piece() -> None:
    learner, theta = made()
    memory, kept, anchors = ewc_after_two(learner, theta)
    here, there = moved(theta, 20), moved(theta, 21)
    losses = [memory.loss(kept, t, 3, seeded()) for t in (here, there)]
    assert losses[0]
    assert losses[1]
    # what does not depend on theta is left out
    change = losses[0]().double() - losses[1]().double()
    expected = penalty(learner, anchors, here) - penalty(learner, anchors, there)
    assert change.item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_gradient_of_the_penalty_is_that_of_finite_differences() -> None:
    learner, theta = made()
    memory, kept, anchors = ewc_after_two(learner, theta)
    here = moved(theta, 20)
    loss = memory.loss(kept, here, 3, seeded())
    assert loss
    weight, bias = here["policy/mean.weight"], here["policy/mean.bias"]
    gradients = torch.autograd.grad(loss(), [weight, bias])
    for name, gradient in zip(("weight", "bias"), gradients, strict=True):
        key = f"policy/mean.{name}"
        for place in range(gradient.numel()):
            values: list[Tensor] = []
            for step in (1e-3, -1e-3):
                other = here[key].detach().double().clone()
                other.view(-1)[place] += step
                values.append(penalty(learner, anchors, here | {key: other}))
            slope = ((values[0] - values[1]) / 2e-3).item()
            assert gradient.view(-1)[place].item() == pytest.approx(slope, rel=1e-3)


def test_nothing_is_held_before_a_piece_has_ended() -> None:
    learner, theta = made()
    memory = Ewc(learner, 1.0)
    under_way = moment(0, last=False)
    assert memory.learned({}, theta, under_way, [drawn(0)], seeded()) == {}
    assert memory.loss({}, theta, 3, seeded()) is None
    assert Cloning(learner, 1.0).loss({}, theta, 3, seeded()) is None


def test_information_reaches_through_the_adaptation() -> None:
    learner, theta = made(inner_steps=1)
    e = drawn(0)
    mean = e.obs @ theta["policy/mean.weight"].T + theta["policy/mean.bias"]
    own = Gaussian(mean.detach(), STD.log().expand_as(mean))
    e = e._replace(old=own, action=own.sample(seeded(1)))
    found = fisher_information(learner, theta, [e, drawn(1)], seeded())
    assert found["log_rate/mean.bias"].min() > 0
    assert found["policy/mean.weight"].min() > 0


# -- what earlier policies did ---------------------------------------------------------


def test_cloning_is_the_divergence_from_what_the_policy_did() -> None:
    learner, theta = made()
    memory = Cloning(learner, 3.0)
    kept = memory.learned({}, theta, moment(0), [drawn(0)], seeded())
    loss = memory.loss(kept, theta, 3, seeded())
    assert loss
    assert loss().item() == pytest.approx(0, abs=1e-6)
    shift = torch.tensor([0.1, -0.3])
    bias = theta["policy/mean.bias"].detach() + shift
    after = theta | {"policy/mean.bias": bias}
    other = memory.loss(kept, after, 3, seeded())
    assert other
    expected = 3.0 * ((shift / STD).square() / 2).sum()
    assert other().item() == pytest.approx(expected.item(), rel=1e-5)


def test_rehearsal_is_the_likelihood_of_the_actions_taken() -> None:
    learner, theta = made()
    memory, e = Rehearsal(learner, 2.0), drawn(0)
    kept = memory.learned({}, theta, moment(0), [e], seeded())
    loss = memory.loss(kept, theta, 3, seeded())
    assert loss
    mean = e.obs @ theta["policy/mean.weight"].T + theta["policy/mean.bias"]
    log_prob = Gaussian(mean, STD.log()).log_prob(e.action)[e.valid > 0]
    assert loss().item() == pytest.approx(-2.0 * log_prob.mean().item(), rel=1e-5)


def test_a_loss_is_on_some_stored_tasks_of_all_pieces() -> None:
    learner, theta = made()
    memory, kept = Cloning(learner, 1.0), {}
    for piece in range(3):
        kept = memory.learned(kept, theta, moment(piece), [drawn(piece)], seeded())
    assert {len(v) for v in kept.values()} == {9}
    # as many as an iteration has, others in the next one
    losses = [memory.loss(kept, moved(theta, 9), 3, seeded(s)) for s in range(4)]
    values = [loss().item() for loss in losses if loss]
    assert len(set(values)) == 4


# -- which pieces tasks are drawn from -------------------------------------------------


def test_pieces_have_equal_shares_of_the_iterations_after_the_first() -> None:
    schedule = Schedule(iterations=14, pieces=3)
    moments = [schedule.at(i) for i in range(1, 14)]
    assert [m.piece for m in moments] == [0] * 4 + [1] * 4 + [2] * 5
    assert [m.iteration for m in moments if m.first] == [1, 5, 9]
    assert [m.iteration for m in moments if m.last] == [4, 8, 13]
    assert moments[5].progress == 0.25


def test_replay_draws_its_share_from_earlier_pieces_in_turn() -> None:
    learner, _ = made()
    replay = Replay(learner, 0.25)
    assert replay.draw(moment(0), 20) == [0] * 20
    counts: Counter[int] = Counter()
    for iteration in range(12):
        places = replay.draw(moment(3, 8, iteration), 20)
        assert len(places) == 20  # no more than without
        counts.update(places)
    assert counts == {0: 20, 1: 20, 2: 20, 3: 180}


def test_fine_tuning_and_the_bound() -> None:
    learner, _ = made()
    assert Memory(learner, 0.0).draw(moment(1), 4) == [1] * 4
    places = [Together(learner, 0.0).draw(moment(1, 3, i), 4) for i in range(3)]
    assert Counter(p for row in places for p in row) == {0: 4, 1: 4, 2: 4}
