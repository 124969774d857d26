"""A learned update rule: a small network that reads gradients and writes steps.

A coordinate is one number among the parameters of the base learner. The same network
serves them all, so that it moves a module of any size, also one it was not trained on.

    rule = LearnedRule()
    learner = RuleLearner(network, mse_loss, rule, steps=20)
    learner(support, query).mean().backward()  # of the rule and of the start
    learner.adapt(support, steps=40)
    inner_loop(another_loss, another_start, batches, rule)
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import vmap

from meta.inner import Rule, Seen, State, inner_steps, safe_sqrt
from meta.learners.few_shot import Loss, Maml, checked_steps
from meta.theta import Params
from tasks.supervised.contract import Examples

_DECAYS = (0.0, 0.5, 0.9, 0.99)
_ADAM = 2  # the decay of Adam's mean, and the feature made of it
_SLOW, _EPS = 0.999, 1e-8  # as in Adam
_TINY = 1e-12  # below what a squared gradient is taken as zero
_FEATURES = len(_DECAYS) + 6


class LearnedRule(nn.Module):
    """An update rule of the inner loop that is itself a network with parameters.

    Each coordinate is moved against `rate * d * exp(m)`, where the network writes the
    direction `d` and the log-magnitude `m` (Metz et al. 2019, arXiv 1810.10180,
    appendix B). It reads, for each coordinate:

    * running means of its gradient at four decays, each over the root of the running
      mean of squares, as Adam has them;
    * the gradient and the parameter, each over the root mean square of its tensor's;
    * for its tensor, the logarithms of the root mean squares of gradients and
      parameters; for its task, those of the loss and of the step number.

    A linear layer stands beside the hidden ones. It starts such that the untrained rule
    takes the steps of `Adam(rate)`, which training then improves upon.

    Args:
        rate: step size of the Adam that it starts as.
        hidden: units in each of the two hidden layers.
        latest: number that all later steps are given, such as that of the last one in
            training: of a greater one nothing was learned.

    Raises:
        ValueError: if the rate is not positive, there are no hidden units, or the
            latest step is no whole number from 1 on.
    """

    def __init__(
        self, rate: float = 0.02, *, hidden: int = 16, latest: int = 1_000_000
    ) -> None:
        super().__init__()
        if not (rate > 0 and hidden > 0 and latest >= 1 and latest == int(latest)):
            raise ValueError(
                f"need rate, hidden and latest > 0, got {rate}, {hidden} and {latest}"
            )
        self._rate, self._latest = rate, latest
        self.direct = nn.Linear(_FEATURES, 2)
        self.deep = nn.Sequential(
            *(nn.Linear(_FEATURES, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
            nn.Linear(hidden, 2, bias=False),
        )
        last = self.deep[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.zero_()
            self.direct.weight.zero_()
            self.direct.bias.zero_()
            self.direct.weight[0, _ADAM] = 1.0

    @property
    def rate(self) -> float:
        """Step size of the Adam that it starts as."""
        return self._rate

    def get_extra_state(self) -> Tensor:
        """Return what a state dict keeps beside what is learned."""
        return torch.tensor([self._rate, self._latest], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the step size and the latest step of a state dict."""
        rate, *latest = state.reshape(-1).tolist()
        # files have kept both since rules read no later step
        self._rate, self._latest = rate, int(latest[0]) if latest else self._latest

    def begin(self, params: Params) -> State:
        """Return running means of nothing yet: of gradients, and of their squares."""
        zero = torch.zeros_like(_flat(params))
        return {str(decay): zero for decay in _DECAYS}, {str(_SLOW): zero}

    def direction(self, seen: Seen, state: State) -> tuple[Params, State]:
        """Return what the network makes of each coordinate, by the parameters' names.

        Args:
            seen: parameters, gradients, loss and number of the step. Of the loss, its
                size is read and not its sign.
            state: as the step before left it.
        """
        g, (means, squares) = _flat(seen.gradients), state
        means = {str(d): d * means[str(d)] + (1 - d) * g for d in _DECAYS}
        square = _SLOW * squares[str(_SLOW)] + (1 - _SLOW) * g * g
        root = safe_sqrt(square) / math.sqrt(1 - _SLOW**seen.step) + _EPS
        features = torch.stack(
            [
                *(means[str(d)] / (1 - d**seen.step) / root for d in _DECAYS),
                *_context(seen._replace(step=min(seen.step, self._latest)), g),
            ],
            dim=-1,
        )
        d, m = (self.direct(features) + self.deep(features)).unbind(-1)
        return _split(d * m.exp(), seen.params), (means, {str(_SLOW): square})


class RuleLearner(Maml):
    """A module that a learned rule adapts to a task in a few steps.

    The rule is trained through the steps, on the losses after each of them, taken on
    the query set: Andrychowicz et al. 2016, arXiv 1606.04474, eq. 3 with all weights
    equal, for the query set as in Ravi and Larochelle 2017 (Optimization as a model for
    few-shot learning, algorithm 1). No term of the gradient is dropped. It is used as
    `meta.learners.few_shot.Maml` is.

    The module's parameters are where each task starts, and they are learned as well. A
    rule that shall work from any start is shown many in training: pass `start`.

    Args:
        module: see `Maml`.
        loss: see `Maml`.
        rule: what is learned, a `LearnedRule`; another learner's, to adapt a module by
            what that one knows; or `Adam(0.01)` and its like, to compare with.
        steps: inner steps.
        adapts: see `Maml`.
        learn_start: learn the adapted parameters' initial values beside the rule.

    Raises:
        ValueError: as `Maml`, and if there are fewer steps than one.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        rule: Rule,
        *,
        steps: int = 20,
        adapts: Sequence[str] = (),
        learn_start: bool = True,
    ) -> None:
        if steps < 1:
            raise ValueError(f"need steps >= 1, got {steps}")
        super().__init__(module, loss, rule, steps=steps, adapts=adapts)
        self.learn_start = learn_start

    def forward(
        self, support: Examples, query: Examples, start: Params | None = None
    ) -> Float[Tensor, "task"]:
        """Return each task's loss on its query set, as a mean over the steps.

        Args:
            support: examples to adapt on.
            query: examples to measure on.
            start: see `adapt`.
        """
        return self.losses(support, query, start=start).mean(1)

    def adapt(
        self,
        support: Examples,
        steps: int | None = None,
        *,
        start: Params | None = None,
    ) -> Params:
        """Return the parameters that adapt, for each task.

        They are differentiable with respect to the rule and to the start: use
        `torch.no_grad()` where that is not wanted.

        Args:
            support: examples of N tasks.
            steps: inner steps, if not as many as in training; may be more.
            start: parameters to start from in place of the module's, by its names, of
                shape `task *parameter`.

        Returns:
            Tensors by the module's names, of shape `task *parameter`.

        Raises:
            ValueError: if `steps` is negative, or `start` lacks a parameter that
                adapts or has another.
        """
        self._check_buffers()
        count = self.steps if steps is None else checked_steps(steps)

        def adapted(params: Params, s: Examples) -> Params:
            return self._adapt(params, {}, [s] * count)

        mapped = vmap(adapted, in_dims=(_axis(start), 0), randomness="different")
        return mapped(self._start(start), support)

    def losses(
        self,
        support: Examples,
        query: Examples,
        steps: int | None = None,
        *,
        start: Params | None = None,
    ) -> Float[Tensor, "task step"]:
        """Return the losses on query sets after each step on support sets.

        Args:
            support: examples to adapt on.
            query: examples to measure on; the support set again to see how well it is
                fitted.
            steps: see `adapt`.
            start: see `adapt`.
        """
        self._check_buffers()
        count = self.steps if steps is None else checked_steps(steps)

        def measured(params: Params, s: Examples, q: Examples) -> Tensor:
            steps = inner_steps(self._loss, params, [s] * count, self.rule)
            return torch.stack([self._loss(adapted, q) for adapted in steps])

        mapped = vmap(measured, in_dims=(_axis(start), 0, 0), randomness="different")
        return mapped(self._start(start), support, query)

    def _start(self, given: Params | None) -> Params:
        own = self._initial()
        if given is None:
            return own if self.learn_start else {k: v.detach() for k, v in own.items()}
        if given.keys() != own.keys():
            raise ValueError(
                f"start has {', '.join(sorted(given)) or 'nothing'}; what adapts is "
                f"{', '.join(sorted(own))}"
            )
        return given


def _axis(start: Params | None) -> int | None:
    """Return the axis of tasks in where they start."""
    return None if start is None else 0


def _context(seen: Seen, g: Float[Tensor, "coordinate"]) -> list[Tensor]:
    """Return what each coordinate's tensor and task are like."""
    sizes = [v.numel() for v in seen.params.values()]

    def log_rms(params: Params) -> Float[Tensor, "coordinate"]:
        logs = [(v.square().mean() + _TINY).log() / 2 for v in params.values()]
        return torch.cat([x.expand(n) for x, n in zip(logs, sizes, strict=True)])

    steepness, size = log_rms(seen.gradients), log_rms(seen.params)
    return [
        g * (-steepness).exp(),
        _flat(seen.params) * (-size).exp(),
        steepness,
        size,
        (seen.loss.abs() + _TINY).log().expand(g.shape),
        torch.full_like(g, math.log(seen.step)),
    ]


def _flat(params: Params) -> Float[Tensor, "coordinate"]:
    return torch.cat([v.flatten() for v in params.values()])


def _split(flat: Float[Tensor, "coordinate"], like: Params) -> Params:
    parts = flat.split([v.numel() for v in like.values()])
    return {k: p.view(v.shape) for (k, v), p in zip(like.items(), parts, strict=True)}
