"""The gain of adapting few-shot tasks at once over a Python loop over the tasks."""

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from benchmarks.row import Row, cpu_seconds
from meta.inner import Sgd
from meta.learners.few_shot import Loss, Maml
from tasks.supervised.contract import Examples, Shots
from tasks.supervised.sinusoid import Sinusoid

TASKS, RATE = 32, 0.01


def batched_regression() -> Row:
    """Meta-gradient of MAML on sine waves: 10 shots, 10 queries, 40-40 hidden units."""
    module = nn.Sequential(
        *(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    )
    rng = torch.Generator().manual_seed(0)
    shots = Sinusoid().sample("train", TASKS, rng, shots=10, queries=10)
    return _row("sine waves", module, mse_loss, shots)


def batched_convolutions(filters: int = 64) -> Row:
    """Meta-gradient of MAML on images of 28 x 28: 5 ways, 1 shot, 1 query of each."""
    layers: list[nn.Module] = []
    for channels in (1, filters, filters, filters):
        layers += [
            nn.Conv2d(channels, filters, 3, stride=2, padding=1),
            nn.BatchNorm2d(filters, track_running_stats=False),
            nn.ReLU(),
        ]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * filters, 5))
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(5).expand(TASKS, 5)
    support, query = (
        Examples(torch.rand(TASKS, 5, 1, 28, 28, generator=rng), labels)
        for _ in range(2)
    )
    what = f"4 convolutions of {filters}"
    return _row(what, module, cross_entropy, Shots(support, query))


def _row(what: str, module: nn.Module, loss: Loss, shots: Shots) -> Row:
    learner = Maml(module, loss, Sgd(RATE))

    def batched() -> None:
        learner(*shots).mean().backward()

    def loop() -> None:
        _looped(module, loss, shots)

    fast, slow = cpu_seconds(batched, loop)
    return Row(
        what=f"MAML on {TASKS} tasks of {what}, batched over a loop over copies",
        ratio=slow / fast,
        least=5.0,
        figures=f"{fast * 1e3:.0f} / {slow * 1e3:.0f} ms of CPU",
    )


def _looped(module: nn.Module, loss: Loss, shots: Shots) -> None:
    """Take MAML's meta-gradient as libraries of stateful modules do.

    Each task has a copy of the module whose tensors are clones on the graph, and which
    a gradient step replaces.
    """
    total = torch.zeros(())
    for i in range(len(shots.support.x)):
        support, query = (Examples(e.x[i], e.y[i]) for e in shots)
        clone = _cloned(module)
        places = [(m, k) for m in clone.modules() for k in m._parameters]
        inner = loss(clone(support.x), support.y)
        tensors = [getattr(m, k) for m, k in places]
        gradients = torch.autograd.grad(inner, tensors, create_graph=True)
        for (m, k), tensor, gradient in zip(places, tensors, gradients, strict=True):
            m._parameters[k] = tensor - RATE * gradient
        total = total + loss(clone(query.x), query.y)
    (total / len(shots.support.x)).backward()


def _cloned(module: nn.Module) -> nn.Module:
    clone = copy.deepcopy(module)
    for old, new in zip(module.modules(), clone.modules(), strict=True):
        for name, value in old._parameters.items():
            new._parameters[name] = None if value is None else value.clone()
    return clone
