"""The distributions over actions that policies return."""

from jaxtyping import Float
from torch import Tensor

from policies.categorical import Categorical
from policies.gaussian import Gaussian

Distribution = Gaussian | Categorical
"""Over continuous actions, or over one-hot choices."""


def distribution(
    location: Float[Tensor, "*batch action"],
    log_std: Float[Tensor, "*batch action"] | None,
) -> Distribution:
    """Return a Gaussian of a mean, or, without a spread, a categorical of logits."""
    return Categorical(location) if log_std is None else Gaussian(location, log_std)


def parts(d: Distribution) -> tuple[Tensor, Tensor | None]:
    """Return what `distribution` makes it of again."""
    return (d.logits, None) if isinstance(d, Categorical) else d


def divergence(p: Distribution, q: Distribution) -> Float[Tensor, "*batch"]:
    """KL(p || q) of two distributions of one kind."""
    if isinstance(p, Gaussian) and isinstance(q, Gaussian):
        return p.kl(q)
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        return p.kl(q)
    raise _apart(p, q)


def shift(old: Distribution, new: Distribution) -> Float[Tensor, "*batch action"]:
    """Return how far the mean has moved, in units of `old.noise`."""
    if isinstance(old, Gaussian) and isinstance(new, Gaussian):
        return old.shift(new)
    if isinstance(old, Categorical) and isinstance(new, Categorical):
        return old.shift(new)
    raise _apart(old, new)


def _apart(p: Distribution, q: Distribution) -> TypeError:
    kinds = (type(p).__name__, type(q).__name__)
    return TypeError(f"cannot compare a {kinds[0]} with a {kinds[1]}")
