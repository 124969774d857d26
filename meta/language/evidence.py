"""Evidence: how what a policy infers depends on what is hidden.

An adapter answers with a latent z^ after n steps. Lived with training tasks whose true
latents z are known, its answer is, for each n, about a Gaussian around

    z^ = A_n z + b_n,   with covariance C_n

by which Bayes' rule weighs imagined tasks: draws of the training distribution, each
with its parameters and its latent. A belief weighs the same tasks (`log_weights`), so
that words and steps meet as prior and likelihood. The weighted parameters are a belief
in physical units again; its standard deviations are multiplied by a factor for each
parameter and n (or a constant is added to them), so that 90 % intervals hold 90 % of
the training tasks, and parameters that n steps tell nothing of are left out.
"""

from collections.abc import Container
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from meta.language.belief import Belief, Names, Number, scalar_of
from tasks.parameters import Choice, Parameter

SKILL = 0.2
"""Least share of a parameter's variance (of a choice, of its Brier score) that must be
explained on training tasks for it to be spoken of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The relation of one policy's inferences to the hidden parameters, by steps."""

    checksum: str
    """Checksum of the policy."""
    parameters: tuple[Parameter, ...]
    """The hidden parameters, in the order of the columns below."""
    numbers: Float[Tensor, "imagined parameter"]
    """Hidden parameters of imagined tasks."""
    latents: Float[Tensor, "imagined latent"]
    """True latents of these tasks."""
    steps: Int[Tensor, "count"]
    """Numbers of steps, in ascending order from 0."""
    slope: Float[Tensor, "count latent latent"]
    offset: Float[Tensor, "count latent"]
    whiten: Float[Tensor, "count latent latent"]
    """L with L^T L the inverse covariance of the Gaussian."""
    factor: Float[Tensor, "count parameter"]
    """Factor on the standard deviation of each parameter; of a choice, the exponent of
    its probabilities."""
    least: Float[Tensor, "count parameter"]
    """Standard deviation that is added to each parameter's, as variances add: if steps
    tell so much that one imagined task has all the weight, no factor helps."""
    skill: Float[Tensor, "count parameter"]
    """Share of each parameter's variance, or Brier score, that is explained."""
    mates: tuple["Evidence", ...] = ()
    """Evidence of the other agents of a team, in their order, about the same imagined
    tasks; this is then the first agent's. None for one robot."""

    @property
    def agents(self) -> tuple["Evidence", ...]:
        """The evidence of each agent: of row i of a batch, that of agent i % team."""
        return (self, *self.mates)

    def at(self, steps: int) -> int:
        """Return the place of the greatest number of steps up to this one."""
        known = self.steps.tolist()
        return max(i for i, n in enumerate(known) if n <= steps or i == 0)

    def log_likelihood(
        self, latent: Float[Tensor, "world latent"], place: int
    ) -> Float[Tensor, "world imagined"]:
        """Return the log-probability of an inferred latent, for each imagined task.

        Args:
            latent: as inferred.
            place: of the number of steps it was inferred from; see `at`.
        """
        whiten = self.whiten[place]
        expected = self.latents @ self.slope[place].T + self.offset[place]
        a, b = latent @ whiten.T, expected @ whiten.T
        square = a.square().sum(-1)[:, None] + b.square().sum(-1) - 2 * a @ b.T
        return -0.5 * square.clamp(min=0)

    def told(
        self,
        latent: Float[Tensor, "world latent"],
        steps: int,
        prior: Float[Tensor, "world imagined"],
    ) -> Float[Tensor, "world latent"]:
        """Return the latent to act on: as inferred, moved by what was told.

        It moves by the difference that the prior makes to its expectation: a prior
        that says nothing leaves it as it is.

        Args:
            latent: as inferred.
            steps: number of steps that it was inferred from.
            prior: log-weights of the imagined tasks.
        """
        likelihood = self.log_likelihood(latent, self.at(steps))
        after = (likelihood + prior).softmax(-1) @ self.latents
        return latent + (after - likelihood.softmax(-1) @ self.latents)

    def moments(
        self, weights: Float[Tensor, "world imagined"]
    ) -> tuple[Float[Tensor, "world parameter"], Float[Tensor, "world parameter"]]:
        """Return means and standard deviations of the parameters, uncalibrated."""
        mean = weights @ self.numbers
        var = weights @ self.numbers.square() - mean.square()
        return mean, var.clamp(min=0).sqrt()

    def believe(
        self,
        latent: Float[Tensor, "world latent"],
        steps: int,
        prior: Float[Tensor, "world imagined"] | None = None,
        told: Container[str] = (),
    ) -> list[Belief]:
        """Return what is believed in each world.

        Args:
            latent: as inferred.
            steps: number of steps that it was inferred from.
            prior: log-weights of what was told; none if nothing was.
            told: parameters that were told, which are spoken of whatever the skill.
        """
        place = self.at(steps)
        logits = self.log_likelihood(latent, place)
        weights = (logits if prior is None else logits + prior).softmax(-1)
        mean, std = self.moments(weights)
        std = torch.hypot(std * self.factor[place], self.least[place])
        if prior is not None:
            # the factors are of inferences: what was told is as sure as it was said
            std = std.minimum(self.moments(prior.softmax(-1))[1])
        kept = [
            i
            for i, p in enumerate(self.parameters)
            if self.skill[place, i] >= SKILL or p.name in told
        ]
        return [
            Belief(
                about={
                    self.parameters[i].name: self._said(
                        place, i, w, (float(m[i]), float(s[i]))
                    )
                    for i in kept
                }
            )
            for w, m, s in zip(weights, mean, std, strict=True)
        ]

    def _said(
        self,
        place: int,
        i: int,
        weights: Float[Tensor, "imagined"],
        moments: tuple[float, float],
    ) -> Number | Names:
        """Return what is believed of one parameter."""
        p, (mean, std) = self.parameters[i], moments
        if isinstance(p, Choice):
            share = weights.double() @ options_of(self.numbers[:, i], p).double()
            share = share ** float(self.factor[place, i])
            each = (share / share.sum()).tolist()
            return Names(probability=dict(zip(p.options, each, strict=True)))
        scalar = scalar_of(p)
        if scalar is None:
            return Number(mean=mean, std=max(std, 1e-9))
        least = 1e-4 * max(scalar.high - scalar.low, 1e-6)
        return Number(mean=mean, std=max(std, least), unit=scalar.unit)


def options_of(
    numbers: Float[Tensor, "row"], choice: Choice
) -> Float[Tensor, "row option"]:
    """Return 1 where a row's number is an option's index, else 0."""
    index = torch.arange(len(choice.options), device=numbers.device)
    return (numbers[:, None] == index).to(numbers.dtype)
