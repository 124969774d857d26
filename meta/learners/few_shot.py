"""MAML, FOMAML, Meta-SGD, ANIL, CAVIA and Reptile, for any module and any loss.

Few-shot learners are modules: their parameters are what is learned across tasks, by an
optimiser and a loop of your own.

    learner = Maml(network, mse_loss, Sgd(0.01))
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-3)
    for support, query in tasks:
        optimizer.zero_grad()
        learner(support, query).mean().backward()
        optimizer.step()
    adapted = learner.adapt(support)
    learner.predict(adapted, query.x)

MAML-PPO, which adapts policies to episodes, is `meta.learners.maml`.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call, vmap

from meta.inner import Rule, inner_loop
from meta.theta import Params
from tasks.supervised.contract import Examples

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps a task's predictions and targets to a scalar."""


class Maml(nn.Module):
    """A module that a few steps on a task's support set adapt to the task.

    Finn et al. 2017, arXiv 1703.03400, algorithm 2. Its relatives are settings:

    * FOMAML: `first_order=True`.
    * Meta-SGD (Li et al. 2017, arXiv 1707.09835): `learn_rates=True`; a step size per
      parameter, here in log space and so never negative.
    * ANIL (Raghu et al. 2020, arXiv 1909.09157): `adapts` names the head.
    * CAVIA (Zintgraf et al. 2019, arXiv 1810.03642): `adapts` names a parameter of
      zeros that the module reads beside its input.

    The state of the inner optimiser begins anew in each `adapt`. Buffers are shared by
    all tasks and only read. So a normalisation layer that keeps running statistics has
    to be in `eval()` mode; with `track_running_stats=False` it takes the statistics of
    the batch at hand, which makes predictions depend on the other queries (they are
    then *transductive*). Dropout differs between tasks and steps.

    Args:
        module: what adapts; it is not copied, and its parameters are those learned.
        loss: maps a task's predictions and targets to a scalar, inside and outside.
        rule: the inner optimiser, such as `Sgd(0.01)`.
        steps: inner steps.
        adapts: names of the parameters or submodules that adapt; empty: all.
        first_order: take inner gradients as constants.
        learn_rates: learn step sizes, beginning at the rule's.

    Raises:
        ValueError: if `adapts` names nothing of the module, `steps` is no count, the
            rule is no inner optimiser, or step sizes are to be learned from 0; and when
            called, if the loss is no scalar, or the sets are of different tasks.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        rule: Rule,
        *,
        steps: int = 1,
        adapts: Sequence[str] = (),
        first_order: bool = False,
        learn_rates: bool = False,
    ) -> None:
        super().__init__()
        if not callable(getattr(rule, "direction", None)):
            raise ValueError(
                f"rule is an inner optimiser such as pliant.Sgd(0.01), got {rule!r:.60}"
            )
        self.module = module
        self.loss = loss
        self.rule = rule
        self.steps = checked_steps(steps)
        self.first_order = first_order
        self._adapted = _names(module, (adapts,) if isinstance(adapts, str) else adapts)
        self.log_rates = nn.ParameterDict(self._fresh_rates() if learn_rates else {})

    def forward(self, support: Examples, query: Examples) -> Float[Tensor, "task"]:
        """Return the loss of each task's adapted module on its query set."""
        self._check_buffers()
        if len(support.x) != len(query.x):
            raise ValueError(
                f"a support set of {len(support.x)} tasks and a query set of "
                f"{len(query.x)}: the first axis is the task"
            )

        def measured(params: Params, rates: Params, s: Examples, q: Examples) -> Tensor:
            adapted = self._adapt(params, rates, [s] * self.steps)
            return self._loss(adapted, q)

        mapped = vmap(measured, in_dims=(None, None, 0, 0), randomness="different")
        return mapped(self._initial(), self._rates(), support, query)

    def adapt(self, support: Examples, steps: int | None = None) -> Params:
        """Return the parameters that adapt, for each task.

        They are differentiable with respect to those of the module: use
        `torch.no_grad()` where that is not wanted.

        Args:
            support: examples of N tasks.
            steps: inner steps, if not as many as in training.

        Returns:
            Tensors by the module's names, of shape `task *parameter`.
        """
        self._check_buffers()
        count = self.steps if steps is None else checked_steps(steps)

        def adapted(params: Params, rates: Params, s: Examples) -> Params:
            return self._adapt(params, rates, [s] * count)

        mapped = vmap(adapted, in_dims=(None, None, 0), randomness="different")
        return mapped(self._initial(), self._rates(), support)

    def predict(
        self, adapted: Params, x: Shaped[Tensor, "task example *features"]
    ) -> Float[Tensor, "task example *target"]:
        """Return what each task's adapted module makes of inputs."""
        self._check_buffers()
        return vmap(self._call, randomness="different")(adapted, x)

    def _adapt(
        self, params: Params, rates: Params, batches: Sequence[Examples]
    ) -> Params:
        return inner_loop(
            self._loss,
            params,
            batches,
            self.rule,
            rates=rates or None,
            first_order=self.first_order,
        )

    def _loss(self, params: Params, batch: Examples) -> Tensor:
        loss = self.loss(self._call(params, batch.x), batch.y)
        if loss.ndim:
            raise ValueError(
                f"the loss of a task is a scalar, got shape {tuple(loss.shape)}: take "
                "its mean"
            )
        return loss

    def _call(self, params: Params, x: Tensor) -> Tensor:
        return functional_call(self.module, params, (x,))

    def _initial(self) -> Params:
        """Return the module's own parameters that adapt."""
        own = dict(self.module.named_parameters())
        return {name: own[name] for name in self._adapted}

    def _rates(self) -> Params:
        return {k.replace("/", "."): v.exp() for k, v in self.log_rates.items()}

    def _fresh_rates(self) -> Params:
        if not self.rule.rate > 0:
            raise ValueError(
                "step sizes are learned in log space: need rate > 0, got "
                f"{self.rule.rate}"
            )
        rate = torch.tensor(self.rule.rate).log()
        # a name of a ParameterDict holds no dot
        return {
            name.replace(".", "/"): nn.Parameter(torch.full_like(value, rate.item()))
            for name, value in self._initial().items()
        }

    def _check_buffers(self) -> None:
        for name, layer in self.module.named_modules():
            if layer.training and getattr(layer, "running_mean", None) is not None:
                raise ValueError(
                    f"{name or 'the module'} ({type(layer).__name__}) would mix all "
                    "tasks in its running statistics: give it "
                    "track_running_stats=False, call eval(), or use GroupNorm"
                )


class Reptile(Maml):
    """Move towards the parameters that several inner steps lead to.

    Nichol et al. 2018, arXiv 1803.02999, algorithm 2: `forward` returns half the
    squared distance to each task's adapted parameters, those taken as constants, so
    that its gradient is Reptile's, phi - phi_adapted, for any outer optimiser.
    `torch.optim.SGD(lr=1.0)` on the mean is the update of the paper, with the step size
    as `lr`.

    Training adapts on support and query examples together, cut into as many minibatches
    as `minibatches` says, one a step and in turns. With a single one it learns no more
    than to fit all tasks at once does (section 5.1).

    Args:
        module: see `Maml`.
        loss: see `Maml`.
        rule: see `Maml`; the paper's is `Adam(1e-3, betas=(0.0, 0.999))`.
        steps: inner steps; with 1 it is joint training.
        minibatches: parts that a task's examples are cut into.
        adapts: see `Maml`.

    Raises:
        ValueError: as `Maml`, and if there are fewer minibatches than one.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        rule: Rule,
        *,
        steps: int = 5,
        minibatches: int = 1,
        adapts: Sequence[str] = (),
    ) -> None:
        if minibatches < 1:
            raise ValueError(f"need minibatches >= 1, got {minibatches}")
        super().__init__(
            module, loss, rule, steps=steps, adapts=adapts, first_order=True
        )
        self.minibatches = minibatches

    def forward(self, support: Examples, query: Examples) -> Float[Tensor, "task"]:
        """Return half the squared distance to each task's adapted parameters."""
        self._check_buffers()
        parts = self._minibatches(support, query)
        batches = [parts[step % len(parts)] for step in range(self.steps)]
        start = self._initial()
        mapped = vmap(self._adapt, in_dims=(None, None, 0), randomness="different")
        with torch.no_grad():
            adapted = mapped(start, {}, batches)
        left = [(v - adapted[k]).square().flatten(1).sum(1) for k, v in start.items()]
        return torch.stack(left).sum(0) / 2

    def _minibatches(self, support: Examples, query: Examples) -> list[Examples]:
        """Deal the examples of both sets out, so that classes in a row are mixed."""
        x, y = (torch.cat(pair, dim=1) for pair in zip(support, query, strict=True))
        count = self.minibatches
        if count > x.shape[1]:
            raise ValueError(
                f"{count} minibatches of {x.shape[1]} examples are too many"
            )
        return [Examples(x[:, i::count], y[:, i::count]) for i in range(count)]


def _names(module: nn.Module, adapts: Sequence[str]) -> list[str]:
    """Return the parameters that are named, or lie in a submodule that is."""
    known = [name for name, _ in module.named_parameters()]
    if not adapts:
        return known
    found = {a: [k for k in known if k == a or k.startswith(f"{a}.")] for a in adapts}
    for name, inside in found.items():
        if not inside:
            raise ValueError(
                f"nothing to adapt in {name!r}; parameters: {', '.join(known)}"
            )
    return [k for k in known if any(k in inside for inside in found.values())]


def checked_steps(steps: int) -> int:
    """Return the count of steps, or raise ValueError if it is none."""
    if type(steps) is not int or steps < 0:
        raise ValueError(f"need a whole number of steps >= 0, got {steps!r}")
    return steps
