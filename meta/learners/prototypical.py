"""Prototypical networks: classify by the nearest mean of embedded examples."""

from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from meta.objectives.supervised import nearness, prototypes
from tasks.supervised.contract import Examples


class Prototypical(nn.Module):
    """A module whose outputs of one class lie near each other.

    Snell et al. 2017, arXiv 1703.05175, algorithm 1, with squared Euclidean distances.
    To adapt takes no gradient: a class is the mean of its support examples' outputs. It
    is used as `meta.learners.few_shot.Maml` is.

    The examples of all tasks pass through the module in one batch, support and query
    sets apart; a normalisation layer that is in training mode sees them so.

    Args:
        module: maps examples to features, of shape `example feature`; it is not copied.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, support: Examples, query: Examples) -> Float[Tensor, "task"]:
        """Return the mean cross-entropy of each task's query set."""
        logits = self.predict(self.adapt(support), query.x)
        each = cross_entropy(logits.flatten(0, 1), query.y.flatten(), reduction="none")
        return each.unflatten(0, query.y.shape).mean(1)

    def adapt(self, support: Examples) -> Float[Tensor, "task way feature"]:
        """Return the prototypes of each task's classes.

        Raises:
            ValueError: if a task lacks a class that another has.
        """
        return prototypes(self._embed(support.x), support.y)

    def predict(
        self,
        adapted: Float[Tensor, "task way feature"],
        x: Shaped[Tensor, "task example *features"],
    ) -> Float[Tensor, "task example way"]:
        """Return minus the squared distance to each class, as logits."""
        return nearness(self._embed(x), adapted)

    def _embed(
        self, x: Shaped[Tensor, "task example *features"]
    ) -> Float[Tensor, "task example feature"]:
        features: Tensor = self.module(x.flatten(0, 1))
        return features.unflatten(0, x.shape[:2])
