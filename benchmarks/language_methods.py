"""Methods by which a small language model learns few-shot texts, with their settings.

Settings were tried on validation classes: `benchmarks.language_models --tune`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.functional import cross_entropy

from meta.inner import Adam, Rule, Sgd
from meta.learners.few_shot import Maml, Reptile
from meta.learners.prototypical import Prototypical

Learner = Maml | Reptile | Prototypical
BACKBONES = {"SmolLM2-135M": ("smollm2-135m", 8), "MiniLM": ("minilm", 6)}
"""Packaged name, and layers that are kept; the two uppermost of them adapt."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of the table."""

    title: str
    backbone: str
    make: Callable[[nn.Module, nn.Module], Learner]
    """Makes a learner of features and head."""
    frozen: bool = False
    """True if no layer of the backbone adapts or is trained."""
    tasks: int = 0
    """Training tasks, two in each iteration."""
    rate: float = 3e-3
    """Outer step size, which falls to 0: Adam's, and plain descent's for Reptile."""


def adapted(rule: Rule, steps: int, **settings: Any) -> Callable[..., Learner]:  # noqa: ANN401
    """Return what makes MAML, or a relative, of features and head."""
    return lambda features, head: Maml(
        nn.Sequential(features, head), cross_entropy, rule, steps=steps, **settings
    )


def reptile(rule: Rule, steps: int, minibatches: int) -> Callable[..., Learner]:
    """Return what makes Reptile of features and head."""
    return lambda features, head: Reptile(
        nn.Sequential(features, head),
        cross_entropy,
        rule,
        steps=steps,
        minibatches=minibatches,
    )


def nearest(features: nn.Module, _: nn.Module) -> Learner:
    """Return a prototypical network of the features."""
    return Prototypical(features)


SMOL, MINI = BACKBONES
METHODS = {
    "mean": Method(
        title="frozen, nearest mean", backbone=SMOL, make=nearest, frozen=True
    ),
    "head": Method(
        title="frozen, logistic head",
        backbone=SMOL,
        make=adapted(Sgd(0.03), 10),
        frozen=True,
    ),
    "plain": Method(title="plain LoRA", backbone=SMOL, make=adapted(Adam(0.01), 5)),
    "plain-sgd": Method(
        title="plain LoRA, by FOMAML's inner steps",
        backbone=SMOL,
        make=adapted(Sgd(0.1), 5),
    ),
    "fomaml": Method(
        title="LoRA by FOMAML",
        backbone=SMOL,
        make=adapted(Sgd(0.1), 5, first_order=True),
        tasks=300,
        rate=2e-3,
    ),
    "maml": Method(
        title="LoRA by MAML, second order",
        backbone=SMOL,
        make=adapted(Sgd(0.1), 5),
        tasks=180,
        rate=2e-3,
    ),
    "reptile": Method(
        title="LoRA by Reptile",
        backbone=SMOL,
        make=reptile(Adam(0.01, betas=(0.0, 0.999)), 5, 1),
        tasks=150,
        rate=0.3,
    ),
    "prototypical": Method(
        title="LoRA as a prototypical network",
        backbone=SMOL,
        make=nearest,
        tasks=700,
    ),
    "mini-mean": Method(
        title="frozen, nearest mean", backbone=MINI, make=nearest, frozen=True
    ),
    "mini-head": Method(
        title="frozen, logistic head",
        backbone=MINI,
        make=adapted(Sgd(0.03), 10),
        frozen=True,
    ),
    "mini-plain": Method(
        title="plain LoRA", backbone=MINI, make=adapted(Adam(0.003), 5)
    ),
    "mini-prototypical": Method(
        title="LoRA as a prototypical network", backbone=MINI, make=nearest, tasks=700
    ),
}
