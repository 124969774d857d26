"""Prototypical networks: the loss by hand, and that it learns."""

import math

import pytest
import torch
from torch import nn

from meta.learners.prototypical import Prototypical
from meta.objectives.supervised import accuracy, nearness, prototypes
from tasks.supervised.contract import Examples


def examples() -> tuple[Examples, Examples]:
    """Two tasks on a line, two classes of two examples, as deep as a module sees."""
    support = Examples(
        torch.tensor([[0.0, 4.0, 2.0, 6.0], [1.0, 1.0, -1.0, -1.0]])[..., None],
        torch.tensor([[0, 1, 0, 1], [1, 1, 0, 0]]),
    )
    query = Examples(
        torch.tensor([[2.0, 3.0], [0.5, -1.0]])[..., None],
        torch.tensor([[0, 1], [1, 1]]),
    )
    return support, query


def test_the_loss_is_that_by_hand() -> None:
    support, query = examples()
    learner = Prototypical(nn.Identity())
    centres = learner.adapt(support)
    assert centres.tolist() == [[[1.0], [5.0]], [[-1.0], [1.0]]]
    logits = learner.predict(centres, query.x)
    assert logits.tolist() == [
        [[-1.0, -9.0], [-4.0, -4.0]],
        [[-2.25, -0.25], [0.0, -4.0]],
    ]
    first = (math.log(1 + math.exp(-8)) + math.log(2)) / 2
    second = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(4))) / 2
    assert learner(support, query).tolist() == pytest.approx([first, second], rel=1e-6)


def test_images_pass_through_the_module_together() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    learner = Prototypical(module)
    x = torch.rand(3, 4, 1, 5, 5)
    labels = torch.arange(2).repeat(3, 2)
    adapted = learner.adapt(Examples(x, labels))
    assert adapted.shape == (3, 2, 18)
    # running statistics are of every task: these are the same in all
    assert module[1].num_batches_tracked == 1
    learner.eval()
    torch.testing.assert_close(
        learner.adapt(Examples(x, labels))[1],
        learner.adapt(Examples(x[1:2], labels[1:2]))[0],
    )


def test_gradients_reach_the_module_through_both_sets() -> None:
    module = nn.Linear(1, 1, bias=False).double()
    learner, weight = Prototypical(module), module.weight
    support, query = (Examples(e.x.double(), e.y) for e in examples())
    learner(support, query).sum().backward()
    ends = []
    for shift in (1e-6, -2e-6):
        weight.data += shift
        ends.append(learner(support, query).sum().item())
    slope = (ends[0] - ends[1]) / 2e-6
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(slope, rel=1e-6)


def test_a_class_without_an_example_is_refused() -> None:
    with pytest.raises(ValueError, match="an example of each of the 3 classes"):
        prototypes(torch.zeros(2, 3, 1), torch.tensor([[0, 1, 2], [0, 0, 2]]))


def test_accuracy_is_the_share_of_hits() -> None:
    logits = nearness(
        torch.tensor([[[0.0], [1.0], [3.0]]]), torch.tensor([[[0.0], [2.0]]])
    )
    assert accuracy(logits, torch.tensor([[0, 1, 0]])) == pytest.approx(1 / 3)
    assert accuracy(logits, torch.tensor([[0, 0, 1]])) == 1
